"""How well the rendered silhouette covers the mask."""

import torch
from torch import Tensor

from mfl_adapt.checks import check_same_shape, check_shape


def mask_iou(alpha: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of rendered opacity and mask, both cut at one half.

    Args:
        alpha: Rendered opacity, [B, V, 1, H, W], in [0, 1].
        mask: Mask of the photograph, same shape, in [0, 1].

    Returns:
        One value per view, [B, V], in [0, 1]; 1 where both are empty, as they agree.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_shape("mask_iou: alpha", alpha, [None, None, 1, None, None])
    check_same_shape("mask_iou: mask like alpha", alpha, mask)
    rendered, wanted = alpha > 0.5, mask > 0.5
    intersection = (rendered & wanted).sum(dim=(2, 3, 4))
    union = (rendered | wanted).sum(dim=(2, 3, 4))
    return torch.where(union > 0, intersection / union, 1.0)
