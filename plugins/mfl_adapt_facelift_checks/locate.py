"""Where the subject is, from the centres of its masks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import project
from mfl_adapt.cameras.triangulation import triangulate
from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground
from mfl_adapt.types import Sample, View

from .facts import pixel_scale, usable_cameras

if TYPE_CHECKING:
    from mfl_adapt.types import Float

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
        residuals_px: Reprojection errors of the views that it was found with, for a picture of
            512 x 512, [views].
        cut: Too few whole masks were there, so that cut ones had to serve.
    """

    point: "Float"
    radius: float
    residuals_px: "Float"
    cut: bool


def locate(sample: Sample) -> Subject | None:
    """Triangulate the subject; None with fewer than three masks or without crossing rays."""
    if not usable_cameras(sample):
        return None
    seen = [(view, *_center(view)) for view in sample.views]
    whole = [(view, center) for view, center, cut in seen if center is not None and not cut]
    some = [(view, center) for view, center, _ in seen if center is not None]
    used = whole if len(whole) >= LEAST_VIEWS else some
    if len(used) < LEAST_VIEWS:
        return None
    views = [view for view, _ in used]
    c2w = np.stack([view.c2w for view in views])
    fxfycxcy = np.stack([view.fxfycxcy for view in views])
    try:
        found = triangulate(np.stack([center for _, center in used]), c2w, fxfycxcy)
    except DataError:
        return None
    scales = np.array([pixel_scale(view) for view in views])
    return Subject(
        point=found.point,
        radius=_radius([view for view, _ in some], found.point),
        residuals_px=found.residuals_px / scales,
        cut=len(whole) < LEAST_VIEWS,
    )


def _center(view: View) -> tuple["Float | None", bool]:
    """Centre of the mask in pixels, and whether the frame cuts the mask."""
    if view.mask is None:
        return None, False
    foreground = measure_foreground(view.mask)
    contact = max(foreground.border_px.values())
    return foreground.centroid, contact > _CUT * view.width


def _radius(views: list[View], point: "Float") -> float:
    """Largest radius of a ball at ``point`` that covers as many pixels as a mask does."""
    radii = [0.0]
    for view in views:
        _, depth = project(point[None], view.c2w, view.fxfycxcy)
        pixels = float((view.mask > 127).sum()) if view.mask is not None else 0.0
        radii.append(np.sqrt(pixels / np.pi) / float(view.fxfycxcy[0]) * abs(float(depth[0])))
    return max(radii)
