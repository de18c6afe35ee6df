"""GS-LRM's own loss: every term against the real one's value and gradient, and at its edges."""

import pytest
import pytorch_msssim
import torch
from helpers import shared_path
from mfl_adapt_facelift_loss.config import (
    L2Config,
    PixelAlignConfig,
    PointsDistConfig,
    SSIMConfig,
)
from mfl_adapt_facelift_loss.pixels import PixelAlign, PointsDist, pixelalign, pointsdist
from mfl_adapt_facelift_loss.whole import L2, SSIM, l2, plain_ssim
from safetensors.torch import load_file

from mfl_adapt.errors import ConfigError, ShapeError
from mfl_adapt.plugin import LossContext
from mfl_adapt.types import Cameras, RigContract, ViewBatch

CONTRACT = RigContract(size=16, patch=8, depth_reach=1.8)
CONTEXT = LossContext(CONTRACT)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def golden():
    return load_file(shared_path("reference/gslrm_tiny.safetensors"))


def views(golden):
    """Inputs of the reference's loss; they are its targets too."""
    cameras = Cameras(golden["loss.in.c2w"], golden["loss.in.fxfycxcy"], height=48, width=48)
    rgba = golden["loss.in.target"]
    return ViewBatch(rgba[:, :, :3], rgba[:, :, 3:], cameras)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "loss"), [("l2", L2(L2Config())), ("ssim", SSIM(SSIMConfig()))])
def test_picture_terms_are_those_of_the_real_model(golden, name, loss):
    seen = views(golden)
    pred = golden["loss.in.rendering"].clone().requires_grad_()
    value = loss(pred, seen.rgb, seen.mask, CONTEXT)
    assert value.shape == (2, 3)
    value.mean().backward()
    torch.testing.assert_close(value.mean(), golden[f"loss.out.{name}"][0], rtol=0, atol=1e-6)
    torch.testing.assert_close(pred.grad, golden[f"loss.grad.{name}"], rtol=1e-4, atol=1e-8)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("pixelalign", PixelAlign(PixelAlignConfig(masked=False))),
        ("pixelalign_masked", PixelAlign(PixelAlignConfig())),
        ("pointsdist", PointsDist(PointsDistConfig())),
    ],
)
def test_position_terms_are_those_of_the_real_model(golden, name, loss):
    seen, positions = views(golden), golden["loss.in.xyz"].clone().requires_grad_()
    context = LossContext(CONTRACT, inputs=seen, positions=positions)
    # Four targets for three inputs: the number of targets plays no part.
    pred = seen.rgb[:, [0, 1, 2, 0]]
    value = loss(pred, pred, seen.mask[:, [0, 1, 2, 0]], context)
    assert value.shape == (2, 4)
    value.mean().backward()
    torch.testing.assert_close(value.mean(), golden[f"loss.out.{name}"][0], rtol=0, atol=1e-6)
    wanted, got = golden[f"loss.grad.{name}"], positions.grad
    error = (got - wanted).abs()
    # Where a Gaussian nearly lies on its ray, the direction to the ray is rounding.
    assert error.max() < 0.02 * wanted.abs().max()
    assert error.median() < 1e-5 * wanted.abs().max()


def test_the_last_rows_stand_on_a_picture_worked_by_hand():
    pred, target = torch.zeros(1, 2, 3, 2, 2), torch.zeros(1, 2, 3, 2, 2)
    pred[0, 1, 0, 0, 0] = 0.6
    torch.testing.assert_close(l2(pred, target), torch.tensor([[0.0, 0.36 / 12]]))
    assert torch.equal(l2(pred, pred), torch.zeros(1, 2))


def test_ssim_is_that_of_the_library_even_where_it_is_negative():
    board = ((torch.arange(20)[:, None] + torch.arange(20)) % 2).float().expand(1, 1, 3, 20, 20)
    library = 1 - pytorch_msssim.ssim(board[0], 1 - board[0], data_range=1)
    assert library > 1
    torch.testing.assert_close(plain_ssim(board, 1 - board)[0, 0], library, rtol=0, atol=1e-5)
    assert plain_ssim(board, board).item() == 0


@pytest.mark.parametrize("loss", [l2, plain_ssim])
def test_autocast_and_half_precision_change_nothing(loss):
    pred, target = noise(1, 2, 3, 16, 16).bfloat16(), noise(1, 2, 3, 16, 16, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(pred, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(pred.float(), target.float()), rtol=0, atol=0)


@pytest.mark.parametrize("loss", [L2(L2Config()), SSIM(SSIMConfig())])
def test_whole_pictures_do_not_look_at_the_mask(loss):
    pred, target = noise(1, 2, 3, 16, 16), noise(1, 2, 3, 16, 16, seed=1)
    some, none = noise(1, 2, 1, 16, 16), torch.zeros(1, 2, 1, 16, 16)
    assert torch.equal(loss(pred, target, some, CONTEXT), loss(pred, target, none, CONTEXT))
    with pytest.raises(ShapeError, match="target"):
        loss(pred, target[:, :1], some, CONTEXT)


@pytest.mark.parametrize("loss", [l2, plain_ssim])
def test_gradcheck_of_pictures(loss):
    target = noise(1, 1, 3, 11, 11, dtype=torch.float64)
    pred = (target + 0.1 * noise(1, 1, 3, 11, 11, seed=1, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), pred)


def one_camera():
    """A camera at (0, 0, -2) that looks along +z at a picture of one pixel."""
    c2w = torch.eye(4)
    c2w[2, 3] = -2.0
    return Cameras(c2w[None, None], torch.tensor([[[1.0, 1.0, 0.5, 0.5]]]), height=1, width=1)


def test_pixelalign_by_hand():
    # The ray is the z axis, so only x and y count: a 3-4-5 triangle.
    positions = torch.tensor([0.3, 0.4, 7.0]).view(1, 1, 3, 1, 1).requires_grad_()
    value = pixelalign(positions, one_camera())
    value.sum().backward()
    assert value.item() == pytest.approx(0.5)
    torch.testing.assert_close(positions.grad.flatten(), torch.tensor([0.6, 0.8, 0.0]))
    half = pixelalign(positions, one_camera(), torch.full((1, 1, 1, 1, 1), 0.5))
    assert half.item() == pytest.approx(0.25)


def test_a_gaussian_on_its_ray_gives_zero_with_zero_gradient():
    positions = torch.tensor([0.0, 0.0, 1.0]).view(1, 1, 3, 1, 1).requires_grad_()
    value = pixelalign(positions, one_camera())
    value.sum().backward()
    assert value.item() == 0
    assert torch.equal(positions.grad, torch.zeros_like(positions))


def test_pointsdist_by_hand():
    # Two pixels side by side, 1 and 3 from a camera that is 2 from the origin: mean 2, unbiased
    # deviation sqrt(2). Targets are 2 -+ spread / sqrt(2).
    camera = one_camera()
    camera = Cameras(camera.c2w, camera.fxfycxcy, height=1, width=2)
    positions = torch.zeros(1, 1, 3, 1, 2)
    positions[0, 0, 2, 0] = torch.tensor([-1.0, 1.0])
    for spread in (0.5, 1.0):
        away = 1 - spread / 2**0.5
        value = pointsdist(positions, camera, spread=spread)
        assert value.item() == pytest.approx(away**2, rel=1e-5)
    # Already spread as wanted.
    assert pointsdist(positions, camera, spread=2**0.5).item() == pytest.approx(0, abs=1e-10)


def test_positions_must_fit_the_inputs():
    with pytest.raises(ShapeError, match=r"pixelalign: positions: expected \[1, 1, 3, 1, 1\]"):
        pixelalign(torch.zeros(1, 1, 3, 2, 2), one_camera())
    with pytest.raises(ShapeError, match="pixelalign: mask"):
        pixelalign(torch.zeros(1, 1, 3, 1, 1), one_camera(), torch.zeros(1, 1, 1, 2, 2))
    with pytest.raises(ShapeError, match="pointsdist: positions"):
        pointsdist(torch.zeros(1, 2, 3, 1, 1), one_camera())


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (PixelAlign(PixelAlignConfig()), "pixelalign"),
        (PointsDist(PointsDistConfig()), "pointsdist"),
    ],
)
def test_a_base_without_pixel_gaussians_is_refused_in_one_line(loss, name):
    pred = torch.zeros(1, 1, 3, 4, 4)
    with pytest.raises(ConfigError, match=rf"facelift_loss\.{name}: expected a base whose") as e:
        loss(pred, pred, pred[:, :, :1], CONTEXT)
    assert "\n" not in str(e.value)
