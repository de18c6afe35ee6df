"""What a sample's recorded history admits to, and what per-view preparation leaves behind."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mfl_adapt.images import measure_foreground
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample, View

from .config import BoxCenterConfig, EqualSizeConfig, MovedConfig, SizeRangeConfig
from .facts import REFERENCE_PX, hull_of, pixel_scale, place, sample_and_contract, size_ratios

_LEAST_VIEWS = 3


class PerViewScale:
    """Warning MFL006: every picture was zoomed by itself, under an unchanged camera.

    Said by the history where it is recorded. Without a record, equal sizes in all views give it
    away: distances and directions differ, so an animal that is equally large everywhere was made
    so. That alone proves nothing for a round subject, so the masks must contradict one another
    too.
    """

    def __init__(self, config: EqualSizeConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the history, then at the masks."""
        sample, _ = sample_and_contract(facts)
        for step in sample.provenance:
            if not step.exact and step.params.get("cameras") == "unchanged":
                error = _bound(step.params)
                yield self._finding(sample, f"step {step.step}, off by up to {error:.1f} px", error)
                return
        ratios = size_ratios(sample)
        if len(ratios) < _LEAST_VIEWS or min(ratios) == 0.0:
            return
        spread = float(np.std(ratios) / np.mean(ratios))
        if spread >= self._config.least_spread:
            return
        covered = float(np.nanmin(np.append(hull_of(sample).coverage, 1.0)))
        if covered < self._config.covered_below:
            yield self._finding(
                sample,
                f"sizes in all views equal within {100 * spread:.2f} %, and only "
                f"{100 * covered:.1f} % of a mask fits the other views",
                1.0 - covered,
            )

    def _finding(self, sample: Sample, value: str, excess: float) -> Finding:
        return Finding(
            code="MFL006",
            severity="warning",
            where=place(sample),
            value=value,
            expected="one scale per sample, or each view's camera changed with its picture",
            remedy="Prepare the data again with preprocess.sample_scale or "
            "facelift_cameras.virtual_camera instead of a zoom per view.",
            excess=excess,
        )


class MovedCameras:
    """Warning and information MFL007: cameras were moved or relabelled without their pictures.

    Said by the history where it is recorded; information where its error bound is small. Without
    a record, it is said where all cameras stand equally far from the origin, their focal lengths
    differ as those of a real rig do, and the masks contradict one another.
    """

    def __init__(self, config: MovedConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the history, then at cameras and masks."""
        sample, _ = sample_and_contract(facts)
        steps = [
            step
            for step in sample.provenance
            if not step.exact and step.params.get("cameras") != "unchanged"
        ]
        for step in steps:
            error = _bound(step.params)
            known = np.isfinite(error)
            small = known and error <= self._config.warn_above_px * _scale(sample)
            yield Finding(
                code="MFL007",
                severity="info" if small else "warning",
                where=place(sample),
                value=f"step {step.step} relabelled the cameras, off by up to "
                + (f"{error:.1f} px" if known else "an unknown number of pixels"),
                expected="cameras and pictures changed by one map",
                remedy="Use an exact mode (facelift_cameras.virtual_camera with mode subject).",
                excess=error,
            )
        if not steps:
            yield from self._unrecorded(sample)

    def _unrecorded(self, sample: Sample) -> Iterator[Finding]:
        if len(sample.views) < _LEAST_VIEWS:
            return
        cameras = [(np.linalg.norm(v.c2w[:3, 3]), v.fxfycxcy[0] / v.width) for v in sample.views]
        distances, focals = np.array(cameras).T
        if not (np.isfinite(cameras).all() and distances.min() > 0 and focals.min() > 0):
            return
        equal = np.ptp(distances) / distances.mean() < self._config.equal_within
        if not equal or np.ptp(focals) / focals.mean() < self._config.least_focal_spread:
            return
        covered = float(np.nanmin(np.append(hull_of(sample).coverage, 1.0)))
        if covered < self._config.covered_below:
            yield Finding(
                code="MFL007",
                severity="warning",
                where=place(sample),
                value=f"all cameras at distance {distances.mean():.3f} though their lenses differ "
                f"by {100 * np.ptp(focals) / focals.mean():.1f} %, and only "
                f"{100 * covered:.1f} % of a mask fits the other views",
                expected="cameras where the calibration has them, up to one scale for all",
                remedy="Go back to the calibration; scale the world as a whole with "
                "facelift_cameras.scene_scale.",
                excess=1.0 - covered,
            )


class BoxCentered:
    """Warning MFL017: pictures were centred by bounding boxes, each view by itself.

    Then the middle of every mask's bounding box is the middle of the picture, to the pixel, while
    its centre of mass is not. A tail moves a box by half its length.
    """

    def __init__(self, config: BoxCenterConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at all views together."""
        sample, _ = sample_and_contract(facts)
        offsets = [found for view in sample.views if (found := _box_offset(view)) is not None]
        if len(offsets) < _LEAST_VIEWS or len(offsets) < len(sample.views):
            return
        boxes, masses = np.array(offsets).T
        # Shifts by whole pixels leave half a pixel, which is much at 512 for a small picture.
        within = max(self._config.box_within_px, 0.5 / _scale(sample))
        if boxes.max() <= within and masses.max() > self._config.mass_above_px:
            yield Finding(
                code="MFL017",
                severity="warning",
                where=place(sample),
                value=f"bounding boxes at most {boxes.max():.1f} px off the middle, centres of "
                f"mass up to {masses.max():.1f} px",
                expected="the same point of the subject in the middle of every view",
                remedy="Centre by facelift_cameras.virtual_camera or preprocess.com_center, which "
                "turn the camera too.",
                excess=float(masses.max()),
            )


class SizeRange:
    """Information MFL018: the subject is much larger in one view than in another.

    That is the perspective of a long animal in a rig of unequal distances. It is no failure, and
    zooming views to make it go away is one.
    """

    def __init__(self, config: SizeRangeConfig) -> None:
        """Take the threshold."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at all views together."""
        sample, _ = sample_and_contract(facts)
        ratios = [ratio for ratio in size_ratios(sample) if ratio > 0.0]
        if ratios and max(ratios) / min(ratios) >= self._config.info_above:
            factor = max(ratios) / min(ratios)
            yield Finding(
                code="MFL018",
                severity="info",
                where=place(sample),
                value=f"largest over smallest size {factor:.2f}",
                expected=f"less than {self._config.info_above:g}, by habit",
                remedy="Nothing needs to be done; never scale views one by one to equal sizes.",
                excess=factor,
            )


def _bound(params: Mapping[str, Any]) -> float:
    """Largest error in pixels that an inexact step has recorded; infinite where it has none."""
    values: list[float] = []
    for key in ("error_px", "error_bound_px"):
        value = params.get(key, [])
        values += [float(one) for one in (value if isinstance(value, list | tuple) else [value])]
    return max(values, default=float("inf"))


def _scale(sample: Sample) -> float:
    return max(view.width for view in sample.views) / REFERENCE_PX


def _box_offset(view: View) -> tuple[float, float] | None:
    """How far the middle of the mask's box and its centre of mass are off the picture's, at 512."""
    if view.mask is None or not (view.mask > 127).any():
        return None
    centroid = measure_foreground(view.mask).centroid
    assert centroid is not None
    middle = np.array([view.width, view.height]) / 2
    rows, columns = np.nonzero(view.mask > 127)
    box = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2
    offsets = np.abs(box - middle).max(), np.linalg.norm(centroid - middle)
    scale = pixel_scale(view)
    return float(offsets[0]) / scale, float(offsets[1]) / scale
