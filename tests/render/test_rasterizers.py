"""Both CPU rasterizers against the dense float64 renderer: pictures and every gradient."""

import pytest
import torch
from dense_reference import render_dense
from scenes import SCENES, Scene

from mfl_adapt.render import cpu, reference

NAMES = ("means", "quats", "scales", "opacities", "colors", "viewmats", "background")
BACKENDS = {"cpu": cpu.rasterize, "torch": reference.rasterize}


def leaves(scene: Scene, dtype: torch.dtype) -> Scene:
    """The same scene with every differentiable tensor as a leaf."""
    tensors = {name: getattr(scene, name).to(dtype).requires_grad_() for name in NAMES}
    return scene._replace(**tensors, fxfycxcy=scene.fxfycxcy.to(dtype))


def draw(rasterize, scene: Scene):
    *inputs, background = scene
    return rasterize(*inputs, background=background, near=0.2)


@pytest.fixture(scope="module", params=SCENES, ids=lambda build: build.__name__)
def drawn_scene(request):
    """A scene, the oracle's picture, weights for a scalar loss, and the oracle's gradients."""
    scene = leaves(request.param(), torch.float64)
    *inputs, background = scene
    dense = render_dense(*inputs, background=background)
    generator = torch.Generator().manual_seed(1)
    # Pixels near a threshold are left out: there float32 may decide otherwise.
    weights = torch.randn(dense.image.shape, generator=generator) * dense.safe
    alpha_weights = torch.randn(dense.alpha.shape, generator=generator) * dense.safe
    ((dense.image * weights).sum() + (dense.alpha * alpha_weights).sum()).backward()
    gradients = {name: getattr(scene, name).grad for name in NAMES}
    return request.param(), dense, (weights, alpha_weights), gradients


@pytest.mark.parametrize("backend", BACKENDS)
def test_picture_equals_dense_renderer(drawn_scene, backend):
    scene, dense, _, _ = drawn_scene
    drawn = draw(BACKENDS[backend], leaves(scene, torch.float32))
    assert dense.safe.double().mean() > 0.97
    expected = {"rgb": dense.image[:, :3], "depth": dense.image[:, 3:], "alpha": dense.alpha}
    for name, truth in expected.items():
        tolerance = 15e-6 if name == "depth" else 5e-6  # depths are about 3, colours at most 1
        error = ((getattr(drawn, name) - truth) * dense.safe).abs().max()
        assert error <= tolerance, f"{name}: {error:.2e}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_equal_dense_renderer(drawn_scene, backend):
    scene, _, (weights, alpha_weights), expected = drawn_scene
    inputs = leaves(scene, torch.float32)
    drawn = draw(BACKENDS[backend], inputs)
    image = torch.cat([drawn.rgb, drawn.depth], 1)
    ((image * weights).sum() + (drawn.alpha * alpha_weights).sum()).backward()
    for name in NAMES:
        gradient, truth = getattr(inputs, name).grad, expected[name]
        largest = float(truth.abs().max()) if truth.numel() else 0.0
        error = float((gradient - truth).abs().max()) if truth.numel() else 0.0
        assert error <= 1e-4 * largest, f"{name}: {error:.2e} of {largest:.2e}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_gaussians_are_not_drawn(backend):
    scene = next(build for build in SCENES if build.__name__ == "plain")()
    clean = leaves(scene, torch.float32)
    broken = leaves(scene, torch.float32)
    with torch.no_grad():
        for k, name in enumerate(("means", "quats", "scales", "opacities")):
            getattr(broken, name)[k] = torch.nan
        broken.quats[4] = 0
        clean.opacities[:5] = 0
    pictures = [draw(BACKENDS[backend], inputs) for inputs in (clean, broken)]
    torch.testing.assert_close(pictures[1].rgb, pictures[0].rgb, rtol=0, atol=0)
    (pictures[1].rgb.sum() + pictures[1].depth.sum()).backward()
    for name in NAMES:
        assert getattr(broken, name).grad.isfinite().all()
    for name in NAMES[:4]:
        assert (getattr(broken, name).grad[:5] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_depth_unless_asked_for(backend):
    scene = leaves(SCENES[0](), torch.float32)
    *inputs, background = scene
    drawn = BACKENDS[backend](*inputs, background=background, near=0.2, depth=False)
    assert drawn.depth is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_max_alpha_is_honoured(backend):
    scene = SCENES[7]()._replace(opacities=torch.ones(1), scales=torch.full((1, 3), 5.0))
    scene = leaves(scene, torch.float32)
    *inputs, background = scene
    drawn = BACKENDS[backend](*inputs, background=background, near=0.2, max_alpha=0.9)
    torch.testing.assert_close(drawn.alpha.max(), torch.tensor(0.9))
