"""The masked losses: what they may look at, what they return at the edges."""

import subprocess
import sys

import pytest
import pytorch_msssim
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mfl_adapt_masked_loss import register_components
from mfl_adapt_masked_loss.background import Background, background
from mfl_adapt_masked_loss.config import (
    BackgroundConfig,
    MaskedL2Config,
    MaskedSSIMConfig,
    SilhouetteConfig,
)
from mfl_adapt_masked_loss.masked_l2 import MaskedL2, masked_l2
from mfl_adapt_masked_loss.masked_ssim import MaskedSSIM, masked_ssim
from mfl_adapt_masked_loss.silhouette import Silhouette, silhouette
from torch.nn import functional as F

from mfl_adapt.errors import ShapeError
from mfl_adapt.plugin import LossContext
from mfl_adapt.types import RigContract

CONTEXT = LossContext(contract=RigContract(size=16, patch=8, depth_reach=1.8, background=1.0))
MASKED = [masked_l2, masked_ssim]


def white(pred, target, mask):
    return background(pred, mask, colour=1.0)


ALL = [*MASKED, white]


def pictures(batch=2, views=3, size=16, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)

    def draw(channels):
        shape = (batch, views, channels, size, size)
        return torch.rand(shape, generator=generator, dtype=dtype)

    mask = torch.zeros(batch, views, 1, size, size, dtype=dtype)
    mask[..., 3:12, 4:14] = 1
    return draw(3), draw(3), mask


def test_a_mask_of_ones_gives_the_plain_losses():
    pred, target, _ = pictures()
    pred = (target + 0.2 * pred).clamp(0, 1)
    ones = torch.ones_like(pred[:, :, :1])
    mse = F.mse_loss(pred, target, reduction="none").mean(dim=(2, 3, 4))
    torch.testing.assert_close(masked_l2(pred, target, ones), mse)
    library = pytorch_msssim.ssim(
        pred.flatten(0, 1), target.flatten(0, 1), data_range=1, size_average=False
    )
    torch.testing.assert_close(
        masked_ssim(pred, target, ones).flatten(), 1 - library, rtol=0, atol=2e-6
    )
    against_white = F.mse_loss(pred, torch.ones_like(pred), reduction="none").mean(dim=(2, 3, 4))
    torch.testing.assert_close(white(pred, target, 0 * ones), against_white)


def test_a_mask_of_ones_gives_the_gradients_of_the_plain_losses():
    noise, target, _ = pictures()
    ones = torch.ones_like(noise[:, :, :1])

    def library_ssim(pred):
        flat = pytorch_msssim.ssim(pred.flatten(0, 1), target.flatten(0, 1), data_range=1)
        return 1 - flat

    for loss, library in (
        (masked_l2, lambda pred: F.mse_loss(pred, target)),
        (masked_ssim, library_ssim),
    ):
        ours, theirs = ((target + 0.2 * noise).clamp(0, 1).requires_grad_() for _ in range(2))
        loss(ours, target, ones).mean().backward()
        library(theirs).backward()
        error = (ours.grad - theirs.grad).abs().max()
        assert error < 1e-4 * theirs.grad.abs().max()


@pytest.mark.parametrize("loss", MASKED)
@pytest.mark.parametrize("filling", [0.0, 1.0, 1e6, float("inf"), float("nan")])
def test_the_background_moves_neither_value_nor_gradient(loss, filling):
    pred, target, mask = pictures()
    inside = mask > 0

    def value_and_gradient(outside_pred, outside_target):
        x = torch.where(inside, pred, outside_pred).requires_grad_()
        value = loss(x, torch.where(inside, target, outside_target), mask)
        value.sum().backward()
        return value.detach(), x.grad

    value, gradient = value_and_gradient(pred, target)
    other = torch.tensor(filling)
    for changed in (value_and_gradient(other, target), value_and_gradient(pred, other)):
        assert torch.equal(changed[0], value)
        assert torch.equal(changed[1], gradient)
    assert gradient.masked_select(~inside.expand_as(gradient)).abs().max() == 0
    assert gradient.masked_select(inside.expand_as(gradient)).abs().min() > 0


def test_the_animal_moves_neither_value_nor_gradient_of_the_background():
    pred, target, mask = pictures()
    pred.requires_grad_()
    value = white(pred, target, mask)
    value.sum().backward()
    assert pred.grad.masked_select((mask > 0.5).expand_as(pred)).abs().max() == 0
    changed = torch.where(mask > 0.5, torch.tensor(float("inf")), pred.detach())
    assert torch.equal(white(changed, target, mask), value)


def test_a_floater_is_seen_by_the_background_term_alone():
    _, target, mask = pictures()
    pred = torch.where(mask > 0, target, 1.0)
    assert white(pred, target, mask).abs().max() == 0
    pred[..., 0, 0] = 0
    assert masked_l2(pred, target, mask).abs().max() == 0
    assert masked_ssim(pred, target, mask).abs().max() == 0
    # One of 256 - 90 background pixels is off by 1.
    torch.testing.assert_close(white(pred, target, mask), torch.full((2, 3), 1 / 166))


@pytest.mark.parametrize("loss", MASKED)
def test_zero_exactly_where_the_pictures_agree_inside_the_mask(loss):
    pred, target, mask = pictures()
    same = torch.where(mask > 0, target, pred)
    assert torch.equal(loss(same, target, mask), torch.zeros(2, 3))
    for row, column in ((3, 4), (11, 13), (7, 9)):
        other = same.clone()
        other[1, 2, 0, row, column] += 0.01
        value = loss(other, target, mask)
        assert value[1, 2] > 0
        assert value.count_nonzero() == 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    level=st.floats(0, 1),
    contrast=st.sampled_from([0.0, 1e-7, 1e-4, 1e-2, 1.0]),
    difference=st.sampled_from([0.0, 1e-6, 1e-4, 1e-2, 1.0]),
    share=st.floats(0, 1),
    half=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    seed=st.integers(0, 2**16),
)
def test_no_pictures_leave_the_range_and_only_equal_ones_give_zero(
    level, contrast, difference, share, half, seed
):
    generator = torch.Generator().manual_seed(seed)

    def draw(channels):
        return torch.rand(1, 2, channels, 13, 12, generator=generator)

    mask = (draw(1) < share).float() * draw(1)
    target = (level + contrast * (draw(3) - 0.5)).clamp(0, 1).to(half)
    pred = (target.float() + difference * (draw(3) - 0.5)).clamp(0, 1).to(half)
    equal = ((pred == target) | (mask == 0)).flatten(2).all(dim=2)
    for loss in MASKED:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(pred, target, mask)
        assert value.min() >= 0
        assert value.max() <= 1
        assert (value[equal] == 0).all()
        # Differences of single precision's last digits, squared, are lost beside C1 and C2.
        if difference >= 1e-4 and half == torch.float32:
            visible = ((pred - target).abs() > 1e-5) & (mask > 1e-3)
            assert (value[visible.flatten(2).any(dim=2)] > 0).all()


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
def test_never_negative_and_in_float32_under_autocast(loss, dtype, autocast):
    pred, target, mask = pictures()
    for low, high in ((0, 1), (0.5, 0.501), (0.0, 1e-3), (0.999, 1.0)):
        x = (low + (high - low) * pred).to(dtype)
        y = (low + (high - low) * target).to(dtype)
        with torch.autocast("cpu", dtype=autocast):
            value = loss(x, y, mask.to(dtype))
        assert value.dtype == torch.float32
        assert value.min() >= 0
        assert value.max() <= 1
        torch.testing.assert_close(value, loss(x.float(), y.float(), mask), rtol=0, atol=0)


@pytest.mark.parametrize("loss", ALL)
def test_gradcheck(loss):
    pred, target, mask = pictures(batch=1, views=1, size=11, dtype=torch.float64)
    mask[..., 3:12, 4:7] = 0.3
    # Near the target, so that SSIM is positive and not clamped.
    pred = (target + 0.1 * (pred - 0.5)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, mask), pred)


@pytest.mark.parametrize("loss", ALL)
def test_each_view_stands_alone(loss):
    pred, target, mask = pictures()
    together = loss(pred, target, mask)
    assert together.shape == (2, 3)
    one = loss(pred[1:, 2:], target[1:, 2:], mask[1:, 2:])
    assert one.shape == (1, 1)
    torch.testing.assert_close(one[0, 0], together[1, 2])


@pytest.mark.parametrize("loss", ALL)
def test_an_empty_region_gives_zero_with_zero_gradient(loss):
    pred, target, mask = pictures()
    mask[0, 0] = 1.0 if loss is white else 0.0
    pred.requires_grad_()
    value = loss(pred, target, mask)
    value.sum().backward()
    assert value[0, 0] == 0
    assert pred.grad[0, 0].abs().max() == 0
    assert torch.isfinite(pred.grad).all()
    assert value[0, 1] > 0


def test_soft_masks_weigh():
    pred, target = torch.zeros(1, 1, 3, 2, 2), torch.zeros(1, 1, 3, 2, 2)
    pred[..., 0, 0], pred[..., 1, 1] = 1.0, 0.5
    mask = torch.zeros(1, 1, 1, 2, 2)
    mask[..., 0, 0], mask[..., 1, 1] = 0.25, 0.75
    assert masked_l2(pred, target, mask).item() == pytest.approx(0.25 * 1 + 0.75 * 0.25)


@pytest.mark.parametrize("loss", ALL)
def test_shapes_are_checked(loss):
    pred, target, mask = pictures()
    with pytest.raises(ShapeError, match=r"mask: expected \[2, 3, 1, 16, 16\], got \[2, 3, 16, 16"):
        loss(pred, target, mask[:, :, 0])


def test_components_are_what_the_specs_name():
    specs = {spec.name: spec for spec in register_components()}
    assert sorted(specs) == ["background", "masked_l2", "masked_ssim", "silhouette"]
    pred, target, mask = pictures()
    for component, plain in (
        (MaskedL2(MaskedL2Config()), masked_l2(pred, target, mask)),
        (MaskedSSIM(MaskedSSIMConfig()), masked_ssim(pred, target, mask)),
        (Background(BackgroundConfig()), white(pred, target, mask)),
    ):
        assert torch.equal(component(pred, target, mask, CONTEXT), plain)


def test_background_takes_colour_and_threshold_from_outside():
    grey = LossContext(contract=RigContract(size=2, patch=1, depth_reach=1, background=0.5))
    pred = torch.full((1, 1, 3, 2, 2), 0.5)
    mask = torch.full((1, 1, 1, 2, 2), 0.4)
    assert Background(BackgroundConfig())(pred, pred, mask, grey).item() == 0
    assert Background(BackgroundConfig())(pred, pred, mask, CONTEXT).item() == 0.25
    assert Background(BackgroundConfig(threshold=0.3))(pred, pred, mask, CONTEXT).item() == 0


def test_listing_needs_no_torch():
    code = (
        "import sys, mfl_adapt_masked_loss as p; p.register_components(); "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_silhouette_by_hand():
    mask = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).expand(1, 2, 1, 2, 2)
    alpha = torch.tensor([[1.0, 0.5], [0.5, 0.0]]).expand(1, 2, 1, 2, 2)
    torch.testing.assert_close(silhouette(alpha, mask), torch.full((1, 2), (0.25 + 0.25) / 4))
    assert silhouette(mask, mask).tolist() == [[0.0, 0.0]]


def test_silhouette_sees_a_white_wall_that_the_background_term_cannot():
    wall = torch.ones(1, 1, 3, 8, 8)
    mask, alpha = torch.zeros(1, 1, 1, 8, 8), torch.ones(1, 1, 1, 8, 8, requires_grad=True)
    assert white(wall, wall, mask).item() == 0
    value = silhouette(alpha, mask)
    value.sum().backward()
    assert value.item() == 1
    torch.testing.assert_close(alpha.grad, torch.full_like(mask, 2 / 64))


def test_silhouette_takes_the_opacity_from_the_context():
    pred, target, mask = pictures()
    loss = Silhouette(SilhouetteConfig())
    context = LossContext(contract=CONTEXT.contract, alpha=torch.zeros_like(mask))
    torch.testing.assert_close(loss(pred, target, mask, context), mask.mean(dim=(2, 3, 4)))
    with pytest.raises(ShapeError, match=r"got none.*losses\.masked_loss\.silhouette"):
        loss(pred, target, mask, CONTEXT)
    with pytest.raises(ShapeError, match="mask like alpha"):
        silhouette(torch.zeros(1, 1, 1, 4, 4), torch.zeros(1, 1, 1, 4, 5))


def test_silhouette_gradcheck():
    mask = torch.rand(1, 2, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()
    alpha = (0.5 * mask + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda alpha: silhouette(alpha, mask), (alpha,))
