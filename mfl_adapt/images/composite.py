"""Pictures over a plain background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfl_adapt.checks import check_range, check_shape
from mfl_adapt.images.depth import largest

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float


def composite(rgb: Bytes, mask: Bytes, background: float) -> Float:
    """Put straight colour over a constant background.

    The sum is taken on sRGB-encoded values, as FaceLift does with its training pictures.

    Args:
        rgb: Straight sRGB colour, [H, W, 3] uint8 or uint16.
        mask: Alpha, [H, W] uint8.
        background: Grey level behind the subject, in [0, 1].

    Returns:
        Colour in [0, 1], [H, W, 3] float64.

    Raises:
        ShapeError: If the shapes do not agree.
        RangeError: If the background is outside [0, 1].
    """
    check_shape("composite: rgb", rgb, [None, None, 3])
    check_shape("composite: mask", mask, list(rgb.shape[:2]))
    check_range("composite: background", background, 0.0, 1.0)
    alpha = mask[:, :, None] / 255.0
    return rgb / largest(rgb.dtype) * alpha + background * (1.0 - alpha)
