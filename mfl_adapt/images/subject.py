"""Where the subject is, from the centres of its masks.

The centre of a silhouette is not the projection of the body's centre, the less so the longer the
animal: what is found here is good to about a tenth of its size, and residuals of a few pixels are
natural. ``hull`` is exact for any shape and catches what hides below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import project, triangulate
from mfl_adapt.errors import DataError
from mfl_adapt.images.foreground import measure_foreground

if TYPE_CHECKING:
    from mfl_adapt.types import Float, View

LEAST_VIEWS = 3
# Contact with the frame, as a share of the side, from which a mask counts as cut: the centre of
# a cut mask is not the subject's. A tail tip of a few pixels moves it by nothing that matters.
_CUT = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The subject as a ball.

    Attributes:
        point: Its centre in the world, [3].
        radius: In world units; the largest of the views' own, each from the disc of equal area.
        residuals_px: Distance between the centre of each mask and the point's image, in pixels of
            that view, [V]; NaN without a mask.
        used: Views that the point was found with, [V] booleans.
        cut: Too few whole masks were there, so that cut ones had to serve.
    """

    point: Float
    radius: float
    residuals_px: Float
    used: Any
    cut: bool


def locate_subject(views: Sequence[View]) -> Subject | None:
    """Triangulate the centres of the masks, giving outlying views little weight.

    Args:
        views: Views with masks and proper cameras; those whose mask the frame cuts are used only
            where fewer than three others are left.

    Returns:
        The subject; None with fewer than three masks, or where the rays do not cross.
    """
    centers, cut = _centers(views)
    some = np.isfinite(centers[:, 0])
    used = some & ~cut if (some & ~cut).sum() >= LEAST_VIEWS else some
    if used.sum() < LEAST_VIEWS:
        return None
    c2w = np.stack([view.c2w for view in views])
    fxfycxcy = np.stack([view.fxfycxcy for view in views])
    try:
        point = triangulate(centers[used], c2w[used], fxfycxcy[used]).point
    except DataError:
        return None
    seen, _ = project(point[None, None], c2w, fxfycxcy)
    residuals = np.linalg.norm(seen[:, 0] - centers, axis=1)
    # A point behind a camera has no image there: no residual is large enough for that.
    residuals = np.where(some & ~np.isfinite(residuals), np.inf, residuals)
    radius = max(_radius(view, point) for view in views)
    return Subject(point, radius, residuals, used, bool(cut[used].any()))


def _centers(views: Sequence[View]) -> tuple[Float, Any]:
    """Centres of the masks in pixels, [V, 2], NaN without one; and which the frame cuts, [V]."""
    centers, cut = np.full((len(views), 2), np.nan), np.zeros(len(views), dtype=bool)
    for index, view in enumerate(views):
        if view.mask is not None:
            foreground = measure_foreground(view.mask)
            if foreground.centroid is not None:
                centers[index] = foreground.centroid
            cut[index] = max(foreground.border_px.values()) > _CUT * max(view.mask.shape)
    return centers, cut


def _radius(view: View, point: Float) -> float:
    """Radius of a ball at ``point`` that covers as many pixels as the mask does; 0 without one."""
    if view.mask is None:
        return 0.0
    _, depth = project(point[None], view.c2w, view.fxfycxcy)
    pixels = float((view.mask > 127).sum())
    return float(np.sqrt(pixels / np.pi) / view.fxfycxcy[0] * abs(depth[0]))
