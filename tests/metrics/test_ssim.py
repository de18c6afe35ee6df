"""SSIM inside a mask, held against pytorch-msssim, a window worked by hand, and golden numbers."""

import numpy as np
import pytest
import pytorch_msssim
import torch
from helpers import needs_cuda, shared_path
from safetensors.torch import load_file

from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics import dissimilarity, ssim


def pictures(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def library(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    flat = pytorch_msssim.ssim(
        pred.flatten(0, 1), target.flatten(0, 1), data_range=1, size_average=False
    )
    return flat.reshape(pred.shape[:2])


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("size", [(11, 11), (16, 24), (40, 33)])
def test_a_mask_of_ones_gives_the_library_value(noise, size):
    target = pictures(2, 3, 3, *size, seed=1)
    pred = (target + noise * (pictures(2, 3, 3, *size, seed=2) - 0.5)).clamp(0, 1)
    mask = torch.ones(2, 3, 1, *size)
    torch.testing.assert_close(ssim(pred, target, mask), library(pred, target), rtol=0, atol=2e-6)
    torch.testing.assert_close(ssim(pred, target), ssim(pred, target, mask), rtol=0, atol=0)


def test_one_window_worked_in_numpy():
    x, y = pictures(1, 1, 3, 11, 11, seed=3), pictures(1, 1, 3, 11, 11, seed=4)
    mask = pictures(1, 1, 1, 11, 11, seed=5)
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    weight = np.outer(taps, taps) * mask[0, 0, 0].double().numpy()
    weight /= weight.sum()
    values = []
    for a, b in zip(x[0, 0].double().numpy(), y[0, 0].double().numpy(), strict=True):
        mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
        var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
        cov = (weight * (a - mean_a) * (b - mean_b)).sum()
        values.append(
            (2 * mean_a * mean_b + 1e-4)
            * (2 * cov + 9e-4)
            / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
        )
    expected = max(0.0, float(np.mean(values)))
    assert ssim(x, y, mask).item() == pytest.approx(expected, abs=2e-6)
    assert dissimilarity(x, y, mask).item() == pytest.approx(1 - expected, abs=2e-6)


def test_windows_count_by_the_mask_they_hold():
    # Two areas, too far apart to share a window: the left one is equal, the right one is not.
    target = pictures(1, 1, 3, 16, 60, seed=6)
    pred = target.clone()
    pred[..., 40:] = 1 - pred[..., 40:]
    mask = torch.zeros(1, 1, 1, 16, 60)
    mask[..., :16] = 1
    assert ssim(pred, target, mask).item() == 1
    mask[..., 44:] = 1
    both = dissimilarity(pred, target, mask)
    mask[..., :16] = 0.5
    assert dissimilarity(pred, target, mask) > both


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    # In bfloat16 two nearly flat areas came out above 2.
    target = (0.5 + 0.01 * pictures(1, 2, 3, 20, 20, seed=7)).to(dtype)
    pred = (0.5 + 0.01 * pictures(1, 2, 3, 20, 20, seed=8)).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = ssim(pred, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, library(pred.float(), target.float()), rtol=0, atol=1e-4)


def test_flat_areas_never_leave_the_range():
    for level in (0.0, 0.1, 0.5, 1.0):
        flat = torch.full((1, 1, 3, 24, 24), level)
        other = flat + 1e-4 * pictures(1, 1, 3, 24, 24)
        assert dissimilarity(flat, flat, torch.ones(1, 1, 1, 24, 24)).item() == 0
        assert 0 <= ssim(flat, other).item() <= 1


def test_anticorrelated_pictures_score_zero():
    board = (torch.arange(20)[:, None] + torch.arange(20)) % 2
    pred = board.float().expand(1, 1, 3, 20, 20)
    assert library(pred, 1 - pred).item() < 0
    assert ssim(pred, 1 - pred).item() == 0


def test_anticorrelated_pictures_keep_the_gradient_of_the_library():
    board = ((torch.arange(20)[:, None] + torch.arange(20)) % 2).float().expand(1, 1, 3, 20, 20)
    gradients = []
    for measure in (ssim, library):
        pred = board.clone().requires_grad_()
        measure(pred, 1 - board).sum().backward()
        gradients.append(pred.grad)
    assert gradients[1].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-7)


def test_an_empty_mask_has_no_ssim():
    x = pictures(1, 2, 3, 12, 12)
    mask = torch.zeros(1, 2, 1, 12, 12)
    mask[0, 1] = 1
    value = ssim(x, x, mask)
    assert torch.isnan(value[0, 0])
    assert value[0, 1] == 1


def test_one_exactly_where_the_pictures_agree_inside_the_mask():
    # In float64: a corner pixel weighs 1e-8 in the only window that holds it.
    target = pictures(1, 1, 3, 16, 16, seed=9, dtype=torch.float64)
    mask = torch.zeros(1, 1, 1, 16, 16, dtype=torch.float64)
    mask[..., 2:13, 3:15] = 1
    outside = torch.where(mask > 0, target, 1 - target)
    assert ssim(outside, target, mask).item() == 1
    # Every pixel inside counts, in every channel: also those in the corners of the mask.
    for row, column in ((2, 3), (12, 14), (2, 14), (7, 8)):
        for channel in range(3):
            other = outside.clone()
            other[..., channel, row, column] += 0.02
            assert ssim(other, target, mask).item() < 1


def test_unclamped_dissimilarity_is_that_of_the_library_where_it_is_negative():
    board = ((torch.arange(20)[:, None] + torch.arange(20)) % 2).float().expand(1, 1, 3, 20, 20)
    ones = torch.ones(1, 1, 1, 20, 20)
    value = dissimilarity(board, 1 - board, ones, clamp=False)
    assert value.item() > 1
    torch.testing.assert_close(value, 1 - library(board, 1 - board), rtol=0, atol=1e-5)
    assert dissimilarity(board, 1 - board, ones).item() == 1


def test_shapes_are_checked():
    x = torch.zeros(1, 2, 3, 12, 12)
    with pytest.raises(ShapeError, match=r"ssim: target: .*\[1, 2, 12, 12, 3\]. Move channels"):
        ssim(x, x.movedim(2, -1))
    with pytest.raises(ShapeError, match=r"ssim: mask: expected \[1, 2, 1, 12, 12\]"):
        ssim(x, x, torch.ones(1, 1, 1, 12, 12))
    with pytest.raises(ShapeError, match=r"at least 11 x 11 pixels, got \[10, 12\]"):
        ssim(x[..., :10, :], x[..., :10, :])


@pytest.mark.golden
def test_agrees_with_the_reference_loss():
    data = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    target = data["loss.in.target"][:, :, :3]
    value = ssim(data["loss.in.rendering"], target).mean()
    torch.testing.assert_close(1 - value, data["loss.out.ssim"].reshape(()), rtol=0, atol=1e-5)


@needs_cuda
@pytest.mark.gpu
def test_tf32_does_not_reach_the_variances():
    x, y = pictures(1, 2, 3, 64, 64, seed=1), pictures(1, 2, 3, 64, 64, seed=2)
    x = 0.9 + 0.01 * x
    y = x + 0.01 * (y - 0.5)
    with torch.backends.cudnn.flags(allow_tf32=True):
        value = ssim(x.cuda(), y.cuda()).cpu()
    torch.testing.assert_close(value, ssim(x, y), rtol=0, atol=1e-4)
