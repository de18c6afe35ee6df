"""The classic grade of a dataset: how equal the subject's size is, and how centred it stands.

It comes from a widely copied fork of FaceLift and looks at each picture alone. Zooming and
shifting every view by itself gives an A and breaks the relation between picture and camera, so
the grade is printed beside the geometric certificate and never instead of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mfl_adapt.checks import check_shape, is_number
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Sample

Letter = Literal["A", "B", "C", "D"]

# Letter, and what the CV in percent and the mean offset in pixels must both stay below.
_LIMITS: tuple[tuple[Letter, float, float], ...] = (
    ("A", 1.0, 5.0),
    ("B", 3.0, 10.0),
    ("C", 5.0, 20.0),
)
_OPACITY = 10

WHICH_MATTERS = (
    "The certificate matters, the grade does not: the grade compares the subject's size and place "
    "in each picture alone, and a per-view zoom that breaks every camera still gets an A. A model "
    "learns from where the rays of different views meet, which only the certificate measures."
)


class ViewMeasure(NamedTuple):
    """Size and place of the subject in one picture.

    Attributes:
        size_ratio: Square root of the share of the picture that the subject covers, in [0, 1].
        offset_px: Distance of its centre of mass from the middle of the picture.
    """

    size_ratio: float
    offset_px: float


@dataclass(frozen=True, slots=True)
class Grade:
    """The classic grade, with both ways in which it has been computed.

    A CV is the standard deviation (of the population) over the mean. Over all views it sees how
    views of one moment differ; over sample means it is blind to that, and so always the smaller.

    Attributes:
        letter: From the CV over all views: A below 1 % and 5 px, B below 3 % and 10 px, C below
            5 % and 20 px, D otherwise.
        letter_over_means: The same from the CV over sample means.
        num_samples: How many samples were measured.
        num_views: How many views, all samples together.
        size_ratio: Mean size ratio over all views.
        cv_over_views_percent: CV of the size ratio over all views.
        cv_over_means_percent: CV of the mean size ratio of each sample.
        offset_px: Mean offset of the centre of mass.
        largest_offset_px: Largest of the offsets.
    """

    letter: Letter
    letter_over_means: Letter
    num_samples: int
    num_views: int
    size_ratio: float
    cv_over_views_percent: float
    cv_over_means_percent: float
    offset_px: float
    largest_offset_px: float


def measure_view(mask: Bytes) -> ViewMeasure:
    """Measure one mask as the classic grade does: every pixel of opacity above 10 counts fully.

    Pixel centres are at +0.5 here. The published tool counted them from 0, so its offsets
    differ from these by up to 0.71 px.

    Args:
        mask: Opacity of the subject, [H, W] uint8.

    Returns:
        Size ratio and offset, in pixels of this picture.

    Raises:
        ShapeError: If the mask is not [H, W].
        DataError: If no pixel is in the mask.
    """
    check_shape("measure_view: mask", mask, [None, None])
    rows, columns = np.nonzero(mask > _OPACITY)
    if not len(rows):
        raise DataError(
            f"measure_view: expected a mask with a pixel above {_OPACITY}, got an empty one. "
            "Check the mask, or make one with preprocess.auto_mask."
        )
    height, width = mask.shape
    across, down = columns.mean() + 0.5 - width / 2, rows.mean() + 0.5 - height / 2
    return ViewMeasure(math.sqrt(len(rows) / mask.size), math.hypot(across, down))


def measure_sample(sample: Sample) -> tuple[ViewMeasure, ...]:
    """Measure every view of a sample.

    Raises:
        DataError: If a view has no mask, or an empty one.
    """
    measures = []
    for view in sample.views:
        where = view.source or f"{sample.id}/{view.name}"
        if view.mask is None:
            raise DataError(
                f"{where}: expected a mask of the animal, got none. Add preprocess.auto_mask to "
                "data.preprocess, or give the picture an alpha channel."
            )
        try:
            measures.append(measure_view(view.mask))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    return tuple(measures)


def grade_samples(samples: Iterable[Sample]) -> Grade:
    """Grade samples, one at a time, so that a dataset need not fit into memory.

    Raises:
        DataError: If there is no view, or a view has no mask or an empty one.
    """
    return grade_measures([measure_sample(sample) for sample in samples])


def grade_measures(measures: Sequence[Sequence[ViewMeasure]]) -> Grade:
    """Grade what was measured.

    Args:
        measures: Per sample, per view; samples may differ in their number of views.

    Returns:
        The grade; each view counts the same.

    Raises:
        DataError: If there is no sample, or one without a view.
    """
    if not measures or not all(measures):
        raise DataError(
            "grade: expected samples with at least one view each, got "
            f"{'an empty sample' if measures else 'no sample'}. Check the dataset."
        )
    sizes = np.array([view.size_ratio for sample in measures for view in sample])
    offsets = np.array([view.offset_px for sample in measures for view in sample])
    means = np.array([np.mean([view.size_ratio for view in sample]) for sample in measures])
    over_views, over_means = _cv_percent(sizes), _cv_percent(means)
    offset = float(offsets.mean())
    return Grade(
        letter=to_letter(over_views, offset),
        letter_over_means=to_letter(over_means, offset),
        num_samples=len(measures),
        num_views=len(sizes),
        size_ratio=float(sizes.mean()),
        cv_over_views_percent=over_views,
        cv_over_means_percent=over_means,
        offset_px=offset,
        largest_offset_px=float(offsets.max()),
    )


def to_letter(cv_percent: float, offset_px: float) -> Letter:
    """Letter for a CV in percent and a mean offset in pixels, both of which must pass."""
    for letter, most_cv, most_offset in _LIMITS:
        if cv_percent < most_cv and offset_px < most_offset:
            return letter
    return "D"


def load_metrics(path: Path) -> tuple[tuple[ViewMeasure, ...], ...]:
    """Read the measurements that the fork's own grading tool wrote.

    Args:
        path: JSON with ``samples[].view_metrics[]``, each with ``size_ratio`` and
            ``com_offset_dist``; its summary and its own grade are not looked at.

    Returns:
        Per sample, per view; ready for ``grade_measures``.

    Raises:
        DataError: If the file is missing, malformed or holds other things.
    """
    samples = _entries(path, read_json(path, holds="measurements"), "samples", "the file")
    return tuple(
        tuple(
            _to_measure(path, view, f"samples[{number}].view_metrics[{index}]")
            for index, view in enumerate(
                _entries(path, sample, "view_metrics", f"samples[{number}]")
            )
        )
        for number, sample in enumerate(samples)
    )


def _cv_percent(values: Any) -> float:
    return float(100.0 * values.std() / values.mean())


def _entries(path: Path, holder: Any, key: str, where: str) -> list[Any]:
    entries = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(
            f"{path}: expected a list under '{key}' in {where}, got none. Give the JSON that the "
            "grading tool wrote, with the measures of every view."
        )
    return entries


def _to_measure(path: Path, entry: Any, where: str) -> ViewMeasure:
    size = _number(path, entry, "size_ratio", where)
    offset = _number(path, entry, "com_offset_dist", where)
    if not (0 < size <= 1 and offset >= 0):
        raise DataError(
            f"{path}: expected a size_ratio in (0, 1] and a com_offset_dist of 0 or more in "
            f"{where}, got {size:g} and {offset:g}. Measure the dataset again."
        )
    return ViewMeasure(size, offset)


def _number(path: Path, entry: Any, key: str, where: str) -> float:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not is_number(value):
        raise DataError(
            f"{path}: expected a finite number under '{key}' in {where}, got {value!r}. Measure "
            "the dataset again."
        )
    return float(value)
