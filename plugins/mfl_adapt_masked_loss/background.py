"""What is rendered where nothing should be."""

from torch import Tensor

from mfl_adapt.metrics import check_pictures, full_precision
from mfl_adapt.plugin import LossContext

from .config import BackgroundConfig


def background(pred: Tensor, mask: Tensor, *, colour: float, threshold: float = 0.5) -> Tensor:
    """Mean squared deviation from the background colour, outside the mask.

    The masked losses cannot see a Gaussian that floats beside the animal; this one can.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1].
        mask: [B, V, 1, H, W] in [0, 1].
        colour: Background in [0, 1], the same in all channels; 1 is white.
        threshold: A pixel counts as background where its mask is below this.

    Returns:
        One value per view, [B, V]; 0, with zero gradient, where the mask leaves no background.

    Raises:
        ShapeError: If the tensors differ in B, V, H or W.
    """
    check_pictures("background", pred, pred, mask)
    with full_precision(pred) as (pred,):
        behind = mask < threshold
        error = (pred - colour).masked_fill(~behind, 0) ** 2
        count = behind.sum(dim=(2, 3, 4))
        return error.sum(dim=(2, 3, 4)) / (3 * count.clamp_min(1))


class Background:
    """The component ``masked_loss.background``."""

    def __init__(self, config: BackgroundConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``background`` per view, [B, V]; the target is not looked at."""
        check_pictures("background", pred, target, mask)
        colour = context.contract.background
        return background(pred, mask, colour=colour, threshold=self.config.threshold)
