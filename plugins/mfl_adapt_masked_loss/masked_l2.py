"""Mean squared error inside a mask."""

import torch
from torch import Tensor

from mfl_adapt.metrics import check_pictures, full_precision
from mfl_adapt.plugin import LossContext

from .config import MaskedL2Config


def masked_l2(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the pixels that the mask keeps.

    Each view is averaged over its own kept pixels, so a small animal weighs as much as one that
    fills the frame. Under a mask of ones this is the plain mean squared error.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1].
        target: Photographed colour, same shape and range as ``pred``.
        mask: Weight per pixel, [B, V, 1, H, W]; 1 keeps, 0 drops.

    Returns:
        One value per view, [B, V]; 0, with zero gradient, where the mask is empty.

    Raises:
        ShapeError: If the three tensors differ in B, V, H or W.
    """
    check_pictures("masked_l2", pred, target, mask)
    with full_precision(pred, target, mask) as (pred, target, mask):
        # Dropped, not multiplied by 0: a pixel that is infinite must not turn into NaN.
        error = (pred - target).masked_fill(mask == 0, 0) ** 2
        total = mask.sum(dim=(2, 3, 4))
        # An empty mask divides 0 by 1.
        return (error * mask).sum(dim=(2, 3, 4)) / torch.where(total > 0, 3 * total, 1.0)


class MaskedL2:
    """The component ``masked_loss.masked_l2``.

    Attributes:
        reach_px: It reads nothing beside the mask.
    """

    reach_px = 0

    def __init__(self, config: MaskedL2Config) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``masked_l2`` per view, [B, V]."""
        return masked_l2(pred, target, mask)
