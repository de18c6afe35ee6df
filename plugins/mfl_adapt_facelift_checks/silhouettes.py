"""Whether one solid body can cast all masks of a sample, as they are or flipped."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.images.hull import VisualHull
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample, View

from .config import NoConfig, SilhouettesConfig
from .facts import hull_of, measure_hull, place, sample_and_contract

if TYPE_CHECKING:
    from mfl_adapt.types import Float


class Silhouettes:
    """Law and warning MFL002: every masked pixel can be a point that all other masks hold.

    Each pixel of a mask is the image of some point of the subject, and every other view that has
    this point in its frame shows it inside its mask. So with true cameras and masks all pixels
    are covered by the visual hull of the other views, whatever the subject's shape. A camera
    moved along its axis, or a picture zoomed, without the other being changed leaves the rim of
    its mask uncovered, even when all mask centres meet.
    """

    def __init__(self, config: SilhouettesConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view, share in zip(sample.views, hull_of(sample).coverage, strict=True):
            if share < self._config.warn_below:
                yield Finding(
                    code="MFL002",
                    severity="law" if share < self._config.law_below else "warning",
                    where=place(sample, view),
                    value=f"{100 * share:.1f} % of the mask fits the other views",
                    expected=f"at least {100 * self._config.warn_below:g} %, law "
                    f"{100 * self._config.law_below:g} %",
                    remedy="Check that picture, mask and camera belong together, and that no "
                    "camera was moved or picture zoomed on its own.",
                    excess=float(self._config.warn_below - share),
                )


class Mirrored:
    """Warning MFL014: a picture was flipped left to right, and its camera was not.

    A view whose mask does not fit the others, but would if it were flipped, is tried so, and all
    views together: roughly first, and the best of these in earnest. Nothing is said where
    flipping does not mend it.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: flipped and as it is are compared with one another."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the views that fit worst."""
        sample, _ = sample_and_contract(facts)
        shares = hull_of(sample).coverage
        known = shares[np.isfinite(shares)]
        if not len(known) or known.min() >= _MENDED:
            return
        everything = tuple(range(len(sample.views)))
        # One flipped view spoils the others' fit too, so each is tried, and the set as a whole.
        trials = [*((index,) for index in _suspects(sample, shares)), everything]
        rough, best = _best_flip(sample, trials)
        if rough < _PLAUSIBLE:
            return
        mended = measure_hull(_flip(sample, best), rays=_ASKED_AGAIN).coverage
        mended = mended[np.isfinite(mended)]
        fit = float(mended.min()) if len(mended) else 0.0
        if fit < _MENDED or fit < known.min() + _BETTER:
            return
        alone = len(best) == 1
        yield Finding(
            code="MFL014",
            severity="warning",
            where=place(sample, sample.views[best[0]] if alone else None),
            value=f"at least {100 * known.min():.1f} % of each mask fits, and "
            f"{100 * fit:.1f} % once {'this one is' if alone else 'all are'} flipped",
            expected="pictures as the camera took them",
            remedy="Take the flip out of the preparation or augmentation: a mirrored picture has "
            "no camera.",
            excess=fit - float(known.min()),
        )


# Coverage from which a sample counts as whole, and by how much a flip must mend it.
_MENDED = 0.98
_BETTER = 0.02

# A rough fit asks this many pixels of each mask, in masks of about this width, and is seldom worse
# than the true one.
_ASKED = 150
_ROUGH_PX = 128
# In earnest so many in all: a share near one is then exact to half a percent in each of six views.
_ASKED_AGAIN = 4500
_PLAUSIBLE = 0.9
_MOST_SUSPECTS = 3


def _suspects(sample: Sample, shares: "Float") -> list[int]:
    """Views whose mask the others hold well once it is flipped; the greatest gain first.

    The others stay as they are, so that one walk tells it of all views.
    """
    views = [_smaller(view) for view in sample.views]
    hull = VisualHull(views)
    judged = [index for index in range(len(views)) if hull.judges(index)]
    if not judged:
        return []
    rays = hull.rays(judged, [_spread(_flipped(views[index])) for index in judged])
    held = hull.holds(rays, slack_px=1.0)
    flipped = {index: float(held[rays.own == index].mean()) for index in judged}
    gains = {i: share - np.nan_to_num(shares[i]) for i, share in flipped.items()}
    found = sorted((i for i in judged if flipped[i] >= _PLAUSIBLE), key=lambda i: -gains[i])
    return found[:_MOST_SUSPECTS]


def _best_flip(sample: Sample, trials: Sequence[tuple[int, ...]]) -> tuple[float, tuple[int, ...]]:
    """The flip that fits best, roughly, and how well; the first that mends all ends the search."""
    found = (-1.0, trials[0])
    for trial in trials:
        found = max(found, (_rough_fit(_flip(sample, trial)), trial), key=lambda one: one[0])
        if found[0] >= _MENDED:
            break
    return found


def _rough_fit(sample: Sample) -> float:
    """Least share of a mask that the others hold; only good for telling which flip is the best."""
    views = [_smaller(view) for view in sample.views]
    hull = VisualHull(views)
    judged = [index for index in range(len(views)) if hull.judges(index)]
    if not judged:
        return 0.0
    rays = hull.rays(judged, [_spread(views[index]) for index in judged])
    held = hull.holds(rays, slack_px=1.0)
    return min(float(held[rays.own == index].mean()) for index in judged)


def _smaller(view: View) -> View:
    """Every n-th pixel, as the camera that has just these."""
    step = max(1, view.width // _ROUGH_PX)
    fx, fy, cx, cy = view.fxfycxcy
    center = (np.array([cx, cy]) - 0.5) / step + 0.5
    mask = None if view.mask is None else view.mask[::step, ::step]
    fxfycxcy = np.array([fx / step, fy / step, *center])
    return replace(view, rgb=view.rgb[::step, ::step], mask=mask, fxfycxcy=fxfycxcy)


def _spread(view: View) -> "Float":
    """Some masked pixels, (x, y), evenly spread over the rows, [P, 2]."""
    assert view.mask is not None
    rows, columns = np.nonzero(view.mask > 127)
    chosen = np.linspace(0, len(rows) - 1, min(_ASKED, len(rows))).round().astype(int)
    return np.stack([columns[chosen], rows[chosen]], axis=1) + 0.5


def _flip(sample: Sample, chosen: tuple[int, ...]) -> Sample:
    views = [_flipped(v) if i in chosen else v for i, v in enumerate(sample.views)]
    return replace(sample, views=tuple(views))


def _flipped(view: View) -> View:
    return view if view.mask is None else replace(view, mask=view.mask[:, ::-1].copy())
