"""The subject of a generated view, cut out of its white background.

A generated view has no mask: all that tells the subject from the background is that the
background is white. What is cut out gives the view back when it is put over white again, to the
rounding of 8 bits, except for specks that are left out and for background that was not quite
white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.checks import check_range, check_shape
from mfl_adapt.errors import DataError
from mfl_adapt.predict.background import mask_on_white

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.types import Bytes, Float

    Bools = NDArray[np.bool_]

METHOD = (
    "background is what is connected to the picture's edge and nowhere darker than the level; "
    "pieces smaller than the share of the largest one are background too; in the outermost pixel "
    "of the subject alpha is the mix of white and the nearest inner colour that gives the pixel"
)
LEVEL = 235
"""Least channel from which a pixel can be background, of 255."""

SPECK = 0.02
"""Pieces smaller than this share of the largest one are no subject."""

# An inner pixel farther away than this says nothing about a rim pixel's own colour.
_REACH_PX = 2.0
# Least distance of a colour from white that tells a mix from a paler subject.
_CONTRAST = 0.15


class CutOut(NamedTuple):
    """A subject without its background.

    Attributes:
        rgb: Straight colour, [H, W, 3] uint8.
        alpha: [H, W] uint8, 255 inside.
    """

    rgb: Bytes
    alpha: Bytes


def cut_from_white(rgb: Bytes, where: str, *, level: int = LEVEL, speck: float = SPECK) -> CutOut:
    """Cut a subject out of a white background.

    White parts of the subject that its own colours enclose stay subject; white parts that reach
    the background, and gaps that it encloses, cannot be told from it and are taken for what they
    are connected to.

    Args:
        rgb: Subject on white, [H, W, 3] uint8.
        where: Picture, for messages.
        level: Least channel of a background pixel, of 255.
        speck: Pieces smaller than this share of the largest one are dropped.

    Returns:
        Straight colour and soft alpha.

    Raises:
        ShapeError: If the picture has another shape.
        RangeError: If the level or share leaves its range.
        DataError: If there is no subject or no background.
    """
    check_shape(where, rgb, [None, None, 3])
    check_range("white", level, 1, 255)
    check_range("speck", speck, 0.0, 1.0)
    subject = _drop_specks(mask_on_white(rgb, level) > 0, speck)
    if not subject.any() or subject.all():
        found = "no subject in it" if not subject.any() else "no background around it"
        raise DataError(
            f"{where}: expected a subject on a white background (channels from {level} on), got "
            f"{found}. Generate it again with another seed or more steps, or change --white."
        )
    colour = rgb / 255.0
    alpha = np.round(255 * _mix(colour, subject)) / 255
    straight = np.ones_like(colour)
    inside = alpha > 0
    white = 1.0 - alpha[inside, None]
    straight[inside] = ((colour[inside] - white) / alpha[inside, None]).clip(0, 1)
    return CutOut(np.round(255 * straight).astype(np.uint8), (255 * alpha).round().astype(np.uint8))


def _drop_specks(subject: Bools, speck: float) -> Bools:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(subject.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0.0
    return np.asarray((areas >= max(1.0, speck * areas.max()))[labels])


def _mix(colour: Float, subject: Bools) -> Float:
    """Opacity of every pixel, [H, W] in [0, 1]: 1 inside, less on the rim, 0 outside."""
    import cv2

    alpha = subject.astype(np.float64)
    # A pixel beyond the picture's edge is no background.
    padded = np.pad(subject.astype(np.uint8), 1, mode="edge")
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    if not inner.any():
        return alpha
    distance, labels = cv2.distanceTransformWithLabels(
        (~inner).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels count the inner pixels; which one has which number is read off at the pixels.
    colours = np.zeros((int(labels.max()) + 1, 3))
    colours[labels[inner]] = colour[inner]
    own = 1.0 - colours[labels]
    strength = (own * own).sum(axis=2)
    rim = subject & ~inner & (distance <= _REACH_PX) & (strength >= _CONTRAST**2)
    mixed = ((1.0 - colour) * own).sum(axis=2)[rim] / strength[rim]
    # Less than this and no colour in [0, 1] over white would give the pixel.
    least = 1.0 - colour[rim].min(axis=1)
    alpha[rim] = np.clip(mixed, least, 1.0)
    return np.asarray(alpha)
