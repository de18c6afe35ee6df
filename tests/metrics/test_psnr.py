"""PSNR worked by hand."""

import math

import pytest
import torch
from helpers import shared_path
from safetensors.torch import load_file

from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics import MAX_PSNR_DB, foreground_psnr, psnr


def test_an_error_of_a_tenth_is_twenty_db_per_view():
    target = torch.full((1, 2, 3, 4, 4), 0.5)
    pred = target + torch.tensor([0.1, 0.01]).view(1, 2, 1, 1, 1)
    torch.testing.assert_close(psnr(pred, target), torch.tensor([[20.0, 40.0]]))


def test_foreground_looks_at_the_mask_alone():
    target = torch.ones(1, 1, 3, 4, 4)
    pred = target.clone()
    pred[..., 0, 0] = 0.9
    mask = torch.zeros(1, 1, 1, 4, 4)
    mask[..., 0, :2] = 1
    mask[..., 1, 0] = 0.5  # not above one half
    # One of two kept pixels is off by 0.1; over the frame it is one of sixteen.
    assert foreground_psnr(pred, target, mask).item() == pytest.approx(20 + 10 * math.log10(2))
    assert psnr(pred, target).item() == pytest.approx(20 + 10 * math.log10(16))


def test_what_a_file_cannot_hold_is_clipped():
    target = torch.ones(1, 1, 3, 2, 2)
    assert psnr(target + 3, target).item() == MAX_PSNR_DB


def test_an_empty_mask_has_no_psnr():
    x = torch.ones(1, 1, 3, 2, 2)
    assert torch.isnan(foreground_psnr(x, x, torch.zeros(1, 1, 1, 2, 2))).all()


def test_float32_under_autocast():
    target = torch.full((1, 1, 3, 64, 64), 0.5, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = psnr(target.float() + 0.001, target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(60, abs=1e-2)


def test_shapes_are_checked():
    x = torch.zeros(1, 2, 3, 4, 4)
    with pytest.raises(ShapeError, match=r"psnr: target: expected \[1, 2, 3, 4, 4\]"):
        psnr(x, x[:, :1])
    with pytest.raises(ShapeError, match=r"foreground_psnr: mask"):
        foreground_psnr(x, x, torch.zeros(1, 2, 4, 4))


@pytest.mark.golden
def test_agrees_with_the_reference_metric():
    data = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    value = psnr(data["loss.in.rendering"], data["loss.in.target"][:, :, :3]).flatten()
    torch.testing.assert_close(value, data["loss.out.metric_psnr"].flatten(), rtol=0, atol=1e-4)
