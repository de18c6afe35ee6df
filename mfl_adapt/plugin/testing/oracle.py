"""What the cameras of a sample should see of a probe's scene, against what its pictures show."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.plugin.testing.probes import Probe
    from mfl_adapt.types import Bytes, Float, Sample, View

# Pictures are compared at this size: fast, and a shift of 0.1 px still shows.
_SIDE = 128


class Match(NamedTuple):
    """How well a view agrees with what its camera should see.

    Attributes:
        iou: Of its mask with the true one; NaN without a mask.
        iou_over: Of its mask turned over with the true one.
        shift_px: Between the centres of mass of the two, in pixels of a picture of 128; NaN
            without a mask.
        likeness: Correlation of the colours inside the subject, the greater of plain and of each
            channel alone; NaN where the subject is out of sight.
    """

    iou: float
    iou_over: float
    shift_px: float
    likeness: float


def compare(probe: Probe, sample: Sample) -> list[Match]:
    """Draw every view anew from its camera, and hold it against the picture."""
    from mfl_adapt.cameras import similarity

    worlds = [step.world for step in sample.provenance]
    back = similarity.invert(reduce(similarity.compose, worlds, probe.world))
    return [_match(probe, view, similarity.move_cameras(back, view.c2w)) for view in sample.views]


def _match(probe: Probe, view: View, c2w: Float) -> Match:
    import cv2

    from mfl_adapt.synth import render_view

    scale = min(1.0, _SIDE / max(view.height, view.width))
    height, width = round(view.height * scale), round(view.width * scale)
    ratio = np.array([width / view.width, height / view.height] * 2)
    true = render_view(
        list(probe.scene), c2w, view.fxfycxcy * ratio, height=height, width=width, samples=3
    )

    def shrink(pixels: Bytes) -> Float:
        full = np.iinfo(pixels.dtype).max
        small = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float64) / full

    likeness = _likeness(shrink(view.rgb), true.rgb, true.alpha > 0.99)
    if view.mask is None:
        return Match(np.nan, np.nan, np.nan, likeness)
    mask = shrink(view.mask)
    shift = float(np.linalg.norm(_center(mask) - _center(true.alpha)))
    shift *= _SIDE / max(height, width)
    return Match(_iou(mask, true.alpha), _iou(1 - mask, true.alpha), shift, likeness)


def _iou(mask: Float, true: Float) -> float:
    union = float(np.maximum(mask, true).sum())
    return float(np.minimum(mask, true).sum()) / union if union else 1.0


def _center(weight: Float) -> Float:
    total = weight.sum()
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    if total == 0:
        return np.full(2, np.nan)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / total


def _likeness(rgb: Float, true: Float, inside: NDArray[np.bool_]) -> float:
    if inside.sum() < 20:
        return float("nan")
    pairs = [(rgb[inside][:, c], true[inside][:, c]) for c in range(3)]
    pairs.append((rgb[inside].mean(axis=1), true[inside].mean(axis=1)))
    found = [float(np.corrcoef(a, b)[0, 1]) for a, b in pairs if a.std() > 1e-6 and b.std() > 1e-6]
    return max(found, default=float("nan"))
