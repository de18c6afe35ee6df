"""The classic two-dimensional preparation: every view zoomed and shifted by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.images import measure_foreground, relabel_cameras, warp_sample

from .config import PixelScaleConfig
from .masks import bounds, subject_mask

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Sample, View

_STEP = "preprocess.pixel_scale"


class PixelScale:
    """Gives every view the same size ratio and a centred subject, under unchanged cameras.

    This is how published mouse datasets were made, and it is inexact: from here on a camera no
    longer describes its picture. ``error_px`` in the history is how far, at worst, the subject
    lies from where its camera says. It is offered for comparison; ``com_center`` with
    ``sample_scale``, or ``facelift_cameras.virtual_camera``, centre and scale exactly.
    """

    def __init__(self, config: PixelScaleConfig) -> None:
        """Keep the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with moved pictures and the cameras it had.

        The history gets two records: the exact move, and the inexact return of the cameras.

        Raises:
            DataError: If a view has no mask or an empty one.
            ShapeError: If the views differ in size.
        """
        cameras = sample.cameras
        maps = [self._map(sample, view) for view in sample.views]
        errors = [_largest_shift(view, one) for view, one in zip(sample.views, maps, strict=True)]
        params: dict[str, Any] = self._config.model_dump(mode="json")
        params |= {"scales": [float(one[0, 0]) for one in maps]}
        moved = warp_sample(sample, step=_STEP, params=params, pixel_maps=maps)
        bound = {"cameras": "unchanged", "error_px": max(errors), "errors_px": errors}
        return relabel_cameras(moved, cameras, step=_STEP, params=bound)

    def _map(self, sample: Sample, view: View) -> Float:
        measures = measure_foreground(subject_mask(sample, view))
        assert measures.centroid is not None
        scale = self._config.target / math.sqrt(measures.share)
        shift = np.array([view.width, view.height]) / 2.0 - scale * measures.centroid
        return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]])


def _largest_shift(view: View, pixel_map: Float) -> float:
    """Farthest that a point of the subject moves, in pixels; it is a corner of its bounds."""
    assert view.mask is not None
    left, top, right, bottom = bounds(view.mask)
    corners = np.array([[x, y] for x in (left, right) for y in (top, bottom)])
    moved = corners @ pixel_map[:2, :2].T + pixel_map[:2, 2]
    return round(float(np.linalg.norm(moved - corners, axis=1).max()), 6)
