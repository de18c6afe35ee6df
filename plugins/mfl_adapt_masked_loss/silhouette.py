"""Whether the rendered opacity has the shape of the mask."""

from torch import Tensor

from mfl_adapt.checks import check_same_shape
from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics import full_precision
from mfl_adapt.plugin import LossContext

from .config import SilhouetteConfig


def silhouette(alpha: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of rendered opacity and mask, over the whole picture.

    Colour cannot tell an empty background from a white wall before it; opacity can.

    Args:
        alpha: Rendered opacity, [B, V, 1, H, W], in [0, 1].
        mask: Mask of the photograph, same shape, in [0, 1].

    Returns:
        One value per view, [B, V].

    Raises:
        ShapeError: If the two differ in shape.
    """
    check_same_shape("silhouette: mask like alpha", alpha, mask)
    with full_precision(alpha, mask) as (alpha, mask):
        return (alpha - mask).square().mean(dim=(2, 3, 4))


class Silhouette:
    """The component ``masked_loss.silhouette``."""

    def __init__(self, config: SilhouetteConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``silhouette`` per view, [B, V]; colours are not looked at.

        Raises:
            ShapeError: If the model renders no opacity.
        """
        if context.alpha is None:
            raise ShapeError(
                "masked_loss.silhouette: expected the opacity of a rendered picture, got none. "
                "This base renders no Gaussians: remove losses.masked_loss.silhouette."
            )
        return silhouette(context.alpha, mask)
