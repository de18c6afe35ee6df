"""Mask IoU worked by hand."""

import pytest
import torch

from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics import mask_iou


def test_counts_pixels_above_one_half():
    alpha = torch.tensor([0.9, 0.6, 0.5, 0.0]).view(1, 1, 1, 1, 4)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 1, 4)
    # Rendered: pixels 0, 1. Wanted: 0, 2. One in common, three in all.
    torch.testing.assert_close(mask_iou(alpha, mask), torch.tensor([[1 / 3]]))


def test_two_empty_masks_agree():
    empty, full = torch.zeros(1, 1, 1, 2, 2), torch.ones(1, 1, 1, 2, 2)
    assert mask_iou(empty, empty).item() == 1
    assert mask_iou(empty, full).item() == 0


def test_shapes_are_checked():
    with pytest.raises(ShapeError, match=r"mask_iou: alpha: expected \[\*, \*, 1, \*, \*\]"):
        mask_iou(torch.zeros(1, 1, 3, 2, 2), torch.zeros(1, 1, 3, 2, 2))
    with pytest.raises(ShapeError, match=r"mask_iou: mask like alpha"):
        mask_iou(torch.zeros(1, 1, 1, 2, 2), torch.zeros(1, 1, 1, 2, 3))
