"""The CUDA rasterizer: its call is checked anywhere, its pictures where there is CUDA."""

import sys
import types

import pytest
import torch
from helpers import needs_cuda
from scenes import many, plain

from mfl_adapt.errors import BackendError
from mfl_adapt.render import cpu, gsplat


@pytest.fixture
def recorded_call(monkeypatch):
    """Replace gsplat by a function that notes its arguments and returns ramps."""
    call = {}

    def rasterization(**arguments):
        call.update(arguments)
        views, size = len(arguments["viewmats"]), (arguments["height"], arguments["width"])
        channels = 4 if arguments["render_mode"] == "RGB+D" else 3
        image = torch.arange(float(channels)).expand(views, *size, channels)
        return image, torch.full((views, *size, 1), 0.5), {}

    module = types.ModuleType("gsplat")
    module.rasterization = rasterization
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(gsplat, "version", lambda _: "1.5.3")
    return call


def draw(scene, **settings):
    *inputs, background = scene
    return gsplat.rasterize(*inputs, background=background, near=0.2, **settings)


def test_call_and_channel_order(recorded_call):
    scene = plain(n=3)
    drawn = draw(scene)
    assert drawn.rgb.shape == (2, 3, scene.height, scene.width)
    assert drawn.rgb[0, :, 0, 0].tolist() == [0, 1, 2]
    assert drawn.depth.shape == drawn.alpha.shape == (2, 1, scene.height, scene.width)
    assert (drawn.depth == 3).all()
    assert (drawn.alpha == 0.5).all()
    assert torch.equal(recorded_call["colors"], scene.colors[0])
    assert recorded_call["near_plane"] == 0.2
    assert recorded_call["sh_degree"] is None
    fx, fy, cx, cy = scene.fxfycxcy[0].tolist()
    assert recorded_call["Ks"][0].tolist() == [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]


def test_without_depth(recorded_call):
    assert draw(plain(n=3), depth=False).depth is None
    assert recorded_call["render_mode"] == "RGB"


def test_another_max_alpha_is_an_error(recorded_call):
    with pytest.raises(BackendError, match=r"max_alpha 0\.999, got 0\.99"):
        draw(plain(n=3), max_alpha=0.99)


@pytest.mark.parametrize("version", ["1.6.0", "2.0", "1.10.1"])
def test_a_gsplat_with_other_constants_is_an_error(recorded_call, monkeypatch, version):
    monkeypatch.setattr(gsplat, "version", lambda _: version)
    with pytest.raises(BackendError, match=f"below 1.6, got {version}"):
        draw(plain(n=3))


@needs_cuda
@pytest.mark.gpu
def test_pictures_and_gradients_agree_with_the_cpu():
    scene = many()
    results = []
    for rasterize, device in ((cpu.rasterize, "cpu"), (gsplat.rasterize, "cuda")):
        tensors = [field.float().to(device).requires_grad_() for field in scene[:6]]
        drawn = rasterize(
            *tensors, scene.fxfycxcy.float().to(device), scene.width, scene.height,
            background=scene.background.float().to(device), near=0.2,
        )  # fmt: skip
        (drawn.rgb.square().sum() + drawn.depth.sum()).backward()
        image = torch.cat([drawn.rgb, drawn.alpha], 1).detach().cpu()
        results.append((image, [tensor.grad.cpu() for tensor in tensors]))
    (image, gradients), (other_image, other_gradients) = results
    # Depths that differ by one rounding may swap, so single pixels can differ: never allclose.
    off = (image - other_image).abs().amax(1)
    assert (off > 1e-5).double().mean() < 1e-3
    assert off.mean() < 1e-6
    for one, other in zip(gradients, other_gradients, strict=True):
        assert (one - other).norm() < 1e-2 * one.norm()
