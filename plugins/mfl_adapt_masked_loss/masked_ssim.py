"""One minus structural similarity inside a mask."""

from torch import Tensor

from mfl_adapt.metrics import check_pictures, dissimilarity
from mfl_adapt.plugin import LossContext

from .config import MaskedSSIMConfig


def masked_ssim(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """One minus SSIM, averaged over the windows by the mask that they hold.

    The moments of a window come from its kept pixels alone, so neither the background nor a grey
    filling dilutes the signal. Under a mask of ones this is one minus the usual SSIM.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1]; H and W at least 11.
        target: Photographed colour, same shape and range as ``pred``.
        mask: Weight per pixel, [B, V, 1, H, W]; 1 keeps, 0 drops.

    Returns:
        One value per view, [B, V], in [0, 1]; 0, with zero gradient, where the mask is empty.

    Raises:
        ShapeError: If the three tensors differ in B, V, H or W, or are smaller than a window.
    """
    check_pictures("masked_ssim", pred, target, mask)
    return dissimilarity(pred, target, mask)


class MaskedSSIM:
    """The component ``masked_loss.masked_ssim``.

    Attributes:
        reach_px: It reads nothing beside the mask; windows take in kept pixels alone.
    """

    reach_px = 0

    def __init__(self, config: MaskedSSIMConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``masked_ssim`` per view, [B, V]."""
        return masked_ssim(pred, target, mask)
