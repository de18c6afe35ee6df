"""Losses over whole pictures, background and all, as GS-LRM was trained with."""

import torch
from torch import Tensor

from mfl_adapt.metrics import check_pictures, dissimilarity, full_precision
from mfl_adapt.plugin import LossContext

from .config import L2Config, SSIMConfig


def l2(pred: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all pixels of each view.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1].
        target: Photographed colour, same shape and range as ``pred``.

    Returns:
        One value per view, [B, V].

    Raises:
        ShapeError: If the two differ in shape.
    """
    check_pictures("l2", pred, target)
    with full_precision(pred, target) as (pred, target):
        return (pred - target).square().mean(dim=(2, 3, 4))


def plain_ssim(pred: Tensor, target: Tensor) -> Tensor:
    """One minus SSIM over all windows of each view.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1]; H and W at least 11.
        target: Photographed colour, same shape and range as ``pred``.

    Returns:
        One value per view, [B, V], in [0, 2]; above 1 where the pictures are anticorrelated.

    Raises:
        ShapeError: If the two differ in shape, or are smaller than a window.
    """
    check_pictures("ssim", pred, target)
    return dissimilarity(pred, target, torch.ones_like(pred[:, :, :1]), clamp=False)


class L2:
    """The component ``facelift_loss.l2``."""

    def __init__(self, config: L2Config) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``l2`` per view, [B, V]; the mask is not looked at."""
        check_pictures("l2", pred, target, mask)
        return l2(pred, target)


class SSIM:
    """The component ``facelift_loss.ssim``."""

    def __init__(self, config: SSIMConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``plain_ssim`` per view, [B, V]; the mask is not looked at."""
        check_pictures("ssim", pred, target, mask)
        return plain_ssim(pred, target)
