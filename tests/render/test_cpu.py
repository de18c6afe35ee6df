"""What only the compiled rasterizer promises: same bits, threads, forks, safe gradients."""

import multiprocessing
import os

import numpy as np
import pytest
import torch
from drawing import draw
from numba import njit
from scenes import many, plain

from mfl_adapt.errors import RangeError
from mfl_adapt.render import cpu, kernels, pool, reference


@pytest.fixture
def threads():
    """Set torch's number of threads, and put it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_same_bits_for_any_number_of_threads(threads):
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(draw(many()))
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], result, strict=True))


def test_many_gaussians_agree_with_the_torch_rasterizer():
    scene = many()
    tensors = [field.clone().requires_grad_() for field in scene[:6]]
    drawn = reference.rasterize(
        *tensors, scene.fxfycxcy, scene.width, scene.height,
        background=scene.background, near=0.2,
    )  # fmt: skip
    (drawn.rgb.square().sum() + drawn.depth.sum() + drawn.alpha.sum()).backward()
    results = draw(scene)
    off = (results[0] - drawn.rgb).abs().amax(1)  # a pixel near a threshold may differ
    assert (off > 1e-5).double().mean() < 1e-3
    assert off.mean() < 1e-6
    for gradient, tensor in zip(results[3:], tensors, strict=True):
        assert (gradient - tensor.grad).norm() < 1e-3 * tensor.grad.norm()


def test_several_threads_are_used(threads):
    threads(2)
    ranges = []
    pool.run_tasks(lambda low, high: ranges.append((low, high)), 11)
    ranges.sort()
    assert len(ranges) == 8
    assert [low for low, _ in ranges] == [0, *(high for _, high in ranges[:-1])]
    assert ranges[-1][1] == 11


def test_an_error_in_a_thread_is_raised(threads):
    threads(2)

    def fail(low, high):
        raise ValueError(f"{low}")

    with pytest.raises(ValueError, match="0"):
        pool.run_tasks(fail, 4)


def _draw_and_report(queue):
    torch.set_num_threads(2)
    queue.put(float(draw(plain(n=50))[0].sum()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_draws_in_a_forked_child(threads):
    threads(2)
    expected = float(draw(plain(n=50))[0].sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_draw_and_report, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=30) == expected
    finally:
        child.terminate()
        child.join()


def test_a_change_in_place_before_backward_is_an_error():
    scene = plain(n=20)
    means = scene.means.float().requires_grad_()
    kept = means * 1
    drawn = cpu.rasterize(
        kept, *(field.float() for field in scene[1:7]), scene.width, scene.height,
        background=scene.background.float(), near=0.2,
    )  # fmt: skip
    with torch.no_grad():
        kept.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        drawn.rgb.sum().backward()


def test_second_derivatives_are_refused():
    scene = plain(n=5)
    means = scene.means.float().requires_grad_()
    drawn = cpu.rasterize(
        means, *(field.float() for field in scene[1:7]), scene.width, scene.height,
        background=scene.background.float(), near=0.2,
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(drawn.rgb.square().sum(), means, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_the_default_dtype_does_not_matter():
    scene = plain(n=5)
    before = draw(scene)
    torch.set_default_dtype(torch.float64)
    try:
        after = draw(scene)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_inputs_need_not_be_contiguous():
    scene = plain(n=40)
    straight = draw(scene)
    turned = scene._replace(
        means=scene.means.T.contiguous().T, colors=scene.colors.transpose(1, 2).contiguous().mT
    )
    for one, other in zip(straight, draw(turned), strict=True):
        assert torch.equal(one, other)


def test_more_entries_than_a_region_can_count_is_an_error():
    counts = np.full((2, 3), 2**24 // 2, np.int64)
    with pytest.raises(RangeError, match="16777216"):
        cpu._entry_positions(counts, views=1)


def test_entries_are_laid_out_by_region_then_chunk():
    counts = np.array([[1, 2], [3, 4]])  # two chunks of one view, two regions
    starts, cursors = cpu._entry_positions(counts, views=1)
    assert starts.tolist() == [[0, 4, 10]]
    assert cursors.tolist() == [[0, 4], [1, 6]]


# The kernels copy these functions into themselves: called from Python, they need a caller.
@njit
def _distribute(keys):
    return kernels._distribute(keys)


@njit
def _sort(keys, low, high):
    kernels._sort(keys, low, high)


@njit
def _exp2_negative(t):
    return kernels._exp2_negative(t)


def test_keys_sort_by_depth_whatever_the_buckets():
    rng = np.random.default_rng(0)
    for bits in (rng.integers(0, 2**31, 1000), np.full(1000, 7), rng.integers(5, 9, 1000)):
        keys = bits.astype(np.uint64) << np.uint64(32) | np.arange(1000, dtype=np.uint64)
        shuffled = rng.permutation(keys)
        ends, low = _distribute(shuffled), 0
        for high in ends[:-1]:
            _sort(shuffled, low, high)
            low = high
        assert (shuffled == np.sort(keys)).all()


def test_exp2_is_accurate():
    for t in np.linspace(0, 20, 500, dtype=np.float32):
        assert _exp2_negative(t) == pytest.approx(2.0 ** -float(t), rel=3e-7)
    assert _exp2_negative(np.float32(1e9)) < 1e-30


def test_compiles_without_a_cache_where_no_folder_can_be_written(monkeypatch):
    def njit(cache=False, **options):
        def compile_(function):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return function

        return compile_

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels._kernel(len) is len
