"""Whether one solid body can cast all masks of a sample."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import project, ray_directions
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample, View

from .config import SilhouettesConfig
from .facts import pixel_scale, place, sample_and_contract
from .locate import Subject, locate

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_PIXELS = 100
_DEPTHS = 96
# A long animal reaches well beyond the ball that covers as many pixels.
_RADII = 2.5
_OTHERS = 8
# Between two depth samples a ray moves by up to this in another view; masks are widened by it.
_SLACK_PX = 5.0


class Silhouettes:
    """Law and warning MFL002: every masked pixel can be a point that all other masks hold.

    Each pixel of a mask is the image of some point of the subject, and every other view that has
    this point in its frame shows it inside its mask. So with true cameras and masks all pixels
    are explained, whatever the subject's shape. A camera moved along its axis, or a picture
    zoomed, without the other being changed leaves the rim of its mask unexplained, even when all
    mask centres meet.
    """

    def __init__(self, config: SilhouettesConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        subject = locate(sample)
        if subject is None or subject.radius == 0.0:
            return
        wide = [_widened(view) for view in sample.views]
        for index, view in enumerate(sample.views):
            share = _explained(sample, wide, index, subject)
            if share < self._config.warn_below:
                yield Finding(
                    code="MFL002",
                    severity="law" if share < self._config.law_below else "warning",
                    where=place(sample, view),
                    value=f"{100 * share:.0f} % of the mask fits the other views",
                    expected=f"at least {100 * self._config.warn_below:g} %, law "
                    f"{100 * self._config.law_below:g} %",
                    remedy="Check that picture, mask and camera belong together, and that no "
                    "camera was moved or picture zoomed on its own.",
                    excess=self._config.warn_below - share,
                )


def _widened(view: View) -> Any:
    """Mask with a rim, as booleans; None without a mask."""
    from cv2 import dilate

    if view.mask is None:
        return None
    side = 2 * int(np.ceil(_SLACK_PX * pixel_scale(view))) + 1
    return dilate((view.mask > 127).astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _explained(sample: Sample, wide: list[Any], index: int, subject: Subject) -> float:
    """Share of a view's masked pixels that some depth along their ray explains; 1 if none."""
    view = sample.views[index]
    pixels = _some_pixels(view)
    if len(pixels) == 0:
        return 1.0
    points = _points_along(pixels, view, subject)
    held = np.zeros(points.shape[:2], dtype=int)
    denied = np.zeros(points.shape[:2], dtype=bool)
    others = [other for other in _others(len(sample.views), index) if wide[other] is not None]
    for other in others:
        framed, inside = _look_up(points, sample.views[other], wide[other])
        held += framed & inside
        denied |= framed & ~inside
    # A point that hardly any other view has in its frame would explain everything.
    possible = ~denied & (2 * held >= len(others))
    return float(possible.any(axis=1).mean())


def _some_pixels(view: View) -> Any:
    """Up to 100 masked pixels, evenly taken in reading order, [P, 2] as (x, y)."""
    if view.mask is None:
        return np.empty((0, 2))
    rows, columns = np.nonzero(view.mask > 127)
    picks = np.unique(np.linspace(0, len(rows) - 1, min(_PIXELS, len(rows))).astype(int))
    return np.stack([columns[picks], rows[picks]], axis=1) + 0.5


def _points_along(pixels: "Float", view: View, subject: Subject) -> "Float":
    """Points on the pixels' rays around the subject, [P, depths, 3]."""
    rays = ray_directions(pixels, view.c2w, view.fxfycxcy)
    middle = rays @ (subject.point - view.c2w[:3, 3])
    span = np.linspace(-_RADII, _RADII, _DEPTHS) * subject.radius
    lengths = middle[:, None] + span
    return view.c2w[:3, 3] + rays[:, None] * lengths[..., None]


def _others(count: int, index: int) -> list[int]:
    """Up to eight other views, evenly taken in file order."""
    others = [(index + step) % count for step in range(1, count)]
    picks = np.unique(np.linspace(0, len(others) - 1, min(_OTHERS, len(others))).astype(int))
    return [others[pick] for pick in picks]


def _look_up(points: "Float", view: View, wide: Any) -> tuple[Any, Any]:
    """Which points a view has in its frame, and which of those in its mask, [P, depths]."""
    pixels, _ = project(points.reshape(-1, 3), view.c2w, view.fxfycxcy)
    with np.errstate(invalid="ignore"):
        columns, rows = np.floor(pixels).T
        framed = (columns >= 0) & (columns < view.width) & (rows >= 0) & (rows < view.height)
    inside = np.zeros(len(pixels), dtype=bool)
    inside[framed] = wide[rows[framed].astype(int), columns[framed].astype(int)]
    return framed.reshape(points.shape[:2]), inside.reshape(points.shape[:2])
