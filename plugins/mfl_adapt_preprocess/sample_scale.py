"""One zoom for all views of a sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground, warp_sample

from .config import SampleScaleConfig
from .masks import bounds, name_view, subject_mask

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Sample, View

_STEP = "preprocess.sample_scale"


class SampleScale:
    """Zooms all views about their principal points by one factor.

    The factor brings the mean size ratio to the target unless a view would come too near to its
    edges; then that view sets it. Focal lengths follow, so the geometry is exact, and views keep
    the sizes that their distances give them. Run ``com_center`` first: a subject off the middle
    leaves little room.
    """

    def __init__(self, config: SampleScaleConfig) -> None:
        """Keep the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample seen through longer or shorter lenses.

        Raises:
            DataError: If a view has no mask or an empty one, or its principal point is outside.
        """
        masks = [subject_mask(sample, view) for view in sample.views]
        ratios = [math.sqrt(measure_foreground(mask).share) for mask in masks]
        safe = [self._safe_scale(sample, view) for view in sample.views]
        wanted = self._config.target / float(np.mean(ratios))
        scale = min(wanted, *safe)
        tightest = sample.views[int(np.argmin(safe))].name
        params: dict[str, Any] = self._config.model_dump(mode="json")
        params |= {"scale": scale, "size_ratios": [round(ratio * scale, 6) for ratio in ratios]}
        params |= {"limited_by": "target" if wanted <= min(safe) else tightest}
        maps = [_zoom(view, scale) for view in sample.views]
        return warp_sample(sample, step=_STEP, params=params, pixel_maps=maps)

    def _safe_scale(self, sample: Sample, view: View) -> float:
        """Largest zoom that leaves the margin free on all four sides.

        Raises:
            DataError: If the principal point is outside the picture.
        """
        cx, cy = (float(value) for value in view.fxfycxcy[2:])
        if not (0 < cx < view.width and 0 < cy < view.height):
            raise DataError(
                f"{name_view(sample, view)}: expected a principal point inside the picture, got "
                f"({cx:.1f}, {cy:.1f}). Run preprocess.com_center before {_STEP}."
            )
        left, top, right, bottom = bounds(subject_mask(sample, view))
        room = (cx, cy, view.width - cx, view.height - cy)
        used = (cx - left, cy - top, right - cx, bottom - cy)
        kept = 1.0 - self._config.margin
        # A subject that does not reach a side at all moves away from it when enlarged.
        return min(
            kept * space / taken for space, taken in zip(room, used, strict=True) if taken > 0
        )


def _zoom(view: View, scale: float) -> Float:
    cx, cy = view.fxfycxcy[2:]
    return np.array([[scale, 0.0, (1 - scale) * cx], [0.0, scale, (1 - scale) * cy], [0, 0, 1.0]])
