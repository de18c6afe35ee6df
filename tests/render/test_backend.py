"""The one function that everybody calls: choice of backend, shapes, formats and errors."""

import builtins
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from mfl_adapt.errors import BackendError, RangeError, ShapeError
from mfl_adapt.render import backend, render
from mfl_adapt.types import Cameras, Gaussians


@pytest.fixture(autouse=True)
def fresh_choice():
    """Every test sees the choice of a fresh process."""
    caches = (backend._choose, backend._numba_error)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


def make_gaussians(scenes: int = 2, n: int = 40, k: int = 1, dtype=torch.float32) -> Gaussians:
    g = torch.Generator().manual_seed(0)
    return Gaussians(
        means=(0.4 * torch.randn(scenes, n, 3, generator=g)).to(dtype),
        quats=torch.randn(scenes, n, 4, generator=g).to(dtype),
        scales=(0.05 + 0.1 * torch.rand(scenes, n, 3, generator=g)).to(dtype),
        opacities=torch.rand(scenes, n, generator=g).to(dtype),
        sh=torch.randn(scenes, n, k, 3, generator=g).to(dtype),
    )


def make_cameras(scenes: int = 2, views: int = 3, height: int = 20, width: int = 28) -> Cameras:
    c2w = torch.eye(4).repeat(scenes, views, 1, 1)
    c2w[..., 2, 3] = -2.7
    c2w[..., 0, 3] = 0.1 * torch.arange(views)
    intrinsics = torch.tensor([30.0, 30.0, width / 2, height / 2]).expand(scenes, views, 4)
    return Cameras(c2w, intrinsics, height, width)


@pytest.mark.parametrize("name", ["cpu", "torch"])
def test_shapes_and_scene_by_scene(name):
    gaussians, cameras = make_gaussians(), make_cameras()
    both = render(gaussians, cameras, backend=name)
    assert both.rgb.shape == (2, 3, 3, 20, 28)
    assert both.alpha.shape == both.depth.shape == (2, 3, 1, 20, 28)
    second = render(gaussians[1:], cameras[1:], backend=name)
    torch.testing.assert_close(both.rgb[1:], second.rgb, rtol=0, atol=0)
    assert render(gaussians, cameras, backend=name, depth=False).depth is None


@pytest.mark.parametrize("k", [1, 16])
def test_backends_agree(k):
    gaussians, cameras = make_gaussians(k=k), make_cameras()
    one, other = (render(gaussians, cameras, backend=name) for name in ("cpu", "torch"))
    for first, second in zip(one, other, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


def test_numpy_cameras_are_accepted():
    gaussians, cameras = make_gaussians(), make_cameras()
    as_numpy = Cameras(cameras.c2w.numpy().astype(np.float64), cameras.fxfycxcy.numpy(), 20, 28)
    one, other = render(gaussians, cameras), render(gaussians, as_numpy)
    torch.testing.assert_close(one.rgb, other.rgb, rtol=0, atol=1e-6)


def test_background_as_number_color_and_per_view():
    gaussians, cameras = make_gaussians(), make_cameras()
    black = render(gaussians, cameras, background=0.0)
    colors = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(1))
    for background in (0.25, torch.tensor([0.1, 0.2, 0.3]), colors):
        drawn = render(gaussians, cameras, background=background)
        color = torch.as_tensor(background).expand(2, 3, 3)[..., None, None]
        expected = black.rgb + (1 - black.alpha) * color
        torch.testing.assert_close(drawn.rgb, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cpu", "torch"])
def test_gradients_reach_every_input(name):
    gaussians, cameras = make_gaussians(k=4), make_cameras()
    leaves = {
        field: getattr(gaussians, field).requires_grad_()
        for field in ("means", "quats", "scales", "opacities", "sh")
    }
    c2w = cameras.c2w.requires_grad_()
    background = torch.ones(3, requires_grad=True)
    drawn = render(
        Gaussians(**leaves), replace(cameras, c2w=c2w), background=background, backend=name
    )
    (drawn.rgb.square().sum() + drawn.depth.sum()).backward()
    for leaf in (*leaves.values(), c2w, background):
        assert leaf.grad.abs().max() > 0


def test_gradient_of_a_camera_pose_by_finite_difference():
    gaussians, cameras = make_gaussians(dtype=torch.float64), make_cameras()
    c2w = cameras.c2w.double()

    def loss(pose):
        moved = replace(cameras, c2w=pose)
        return render(gaussians, moved, backend="torch").rgb.square().sum()

    leaf = c2w.clone().requires_grad_()
    loss(leaf).backward()
    step = torch.zeros_like(c2w)
    step[0, 0, 1, 3] = 1e-6
    numeric = (loss(c2w + step) - loss(c2w - step)) / 2e-6
    assert float(leaf.grad[0, 0, 1, 3]) == pytest.approx(float(numeric), rel=1e-3)


def test_float64_stays_float64_on_the_torch_backend_only():
    gaussians, cameras = make_gaussians(dtype=torch.float64), make_cameras()
    assert render(gaussians, cameras, backend="torch").rgb.dtype == torch.float64
    assert render(gaussians, cameras, backend="cpu").rgb.dtype == torch.float32


def test_autocast_changes_nothing():
    gaussians, cameras = make_gaussians(), make_cameras()
    plain = render(gaussians, cameras)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = render(gaussians, cameras)
    assert inside.rgb.dtype == torch.float32
    assert torch.equal(plain.rgb, inside.rgb)


def test_half_precision_gaussians_get_gradients_of_their_own_dtype():
    gaussians, cameras = make_gaussians(dtype=torch.bfloat16), make_cameras()
    gaussians.means.requires_grad_()
    render(gaussians, cameras).rgb.sum().backward()
    assert gaussians.means.grad.dtype == torch.bfloat16


def test_auto_takes_numba_on_the_cpu_and_says_so_once(caplog):
    with caplog.at_level(logging.INFO, logger="mfl_adapt.render.backend"):
        for _ in range(2):
            render(make_gaussians(), make_cameras())
    assert [record.message for record in caplog.records] == [
        "render: drawing with the cpu backend, as the Gaussians are on cpu"
    ]


@pytest.fixture
def no_numba(monkeypatch):
    """Importing numba fails, as it does beside a numpy that is too new."""
    real = builtins.__import__

    def fail(name, *rest):
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.5 or less")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fail)


def test_auto_falls_back_to_torch_with_one_warning(no_numba, caplog):
    for _ in range(2):
        render(make_gaussians(), make_cameras())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Numba needs NumPy 2.5 or less" in caplog.text


def test_cpu_without_numba_is_an_error(no_numba):
    with pytest.raises(BackendError, match=r"Numba needs NumPy.*pip install numba.*'torch'"):
        render(make_gaussians(), make_cameras(), backend="cpu")


def test_auto_takes_gsplat_on_cuda_and_torch_elsewhere():
    assert backend._choose("cuda") == "gsplat"
    assert backend._choose("mps") == "torch"


def test_gsplat_without_cuda_is_an_error():
    with pytest.raises(BackendError, match=r"CUDA device, got cpu\. .*or use backend='cpu'"):
        render(make_gaussians(), make_cameras(), backend="gsplat")


def test_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(BackendError, match=r"one of auto, gsplat, cpu, torch, got 'gpslat'"):
        render(make_gaussians(), make_cameras(), backend="gpslat")


@pytest.mark.parametrize("field", ["quats", "scales", "opacities", "sh"])
def test_fields_that_disagree_are_an_error(field):
    gaussians = make_gaussians()
    wrong = replace(gaussians, **{field: getattr(gaussians, field)[:, :-1]})
    with pytest.raises(ShapeError, match=rf"gaussians\.{field}: expected \[2, 40.*got \[2, 39"):
        render(wrong, make_cameras())


def test_cameras_of_another_batch_are_an_error():
    with pytest.raises(ShapeError, match=r"cameras\.c2w: expected \[2, \*, 4, 4\], got \[3, 3"):
        render(make_gaussians(), make_cameras(scenes=3))


def test_no_view_is_an_error():
    with pytest.raises(ShapeError, match=r"got \[2, 0, 20, 28\]"):
        render(make_gaussians(), make_cameras(views=0))


def test_a_background_of_another_shape_is_an_error():
    with pytest.raises(ShapeError, match=r"background: .*\[2, 3, 3\], got \[3, 1, 1\]"):
        render(make_gaussians(), make_cameras(), background=torch.ones(3, 1, 1))


@pytest.mark.parametrize("near", [0.0, -1.0, float("nan")])
def test_a_near_plane_behind_the_camera_is_an_error(near):
    with pytest.raises(RangeError, match="near"):
        render(make_gaussians(), make_cameras(), near=near)


def test_broken_cameras_are_errors():
    gaussians, cameras = make_gaussians(), make_cameras()
    with pytest.raises(RangeError, match=r"c2w: expected finite numbers, got 96 of 96"):
        render(gaussians, replace(cameras, c2w=cameras.c2w * torch.nan))
    flat = cameras.c2w.clone()
    flat[1, 2] = 0
    with pytest.raises(RangeError, match=r"singular one at \[scene, view\] \[1, 2\]"):
        render(gaussians, replace(cameras, c2w=flat))
    with pytest.raises(RangeError, match=r"positive focal lengths, got -30"):
        render(gaussians, replace(cameras, fxfycxcy=-cameras.fxfycxcy))
    with pytest.raises(RangeError, match=r"fxfycxcy: expected finite numbers"):
        render(gaussians, replace(cameras, fxfycxcy=cameras.fxfycxcy / 0))
