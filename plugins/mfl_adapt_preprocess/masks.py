"""What every step asks of a view's mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Sample, View

HALF = 127


def name_view(sample: Sample, view: View) -> str:
    """Name a view in a message: its file, or sample and view."""
    return view.source or f"{sample.id}/{view.name}"


def subject_mask(sample: Sample, view: View) -> Bytes:
    """Return a view's mask, sure to show something.

    Raises:
        DataError: If there is no mask, or none of its pixels is more than half covered.
    """
    if view.mask is None:
        raise DataError(
            f"{name_view(sample, view)}: expected a mask of the animal, got none. Add "
            "preprocess.auto_mask to data.preprocess, before this step."
        )
    if not (view.mask > HALF).any():
        raise DataError(
            f"{name_view(sample, view)}: expected a mask with the animal in it, got an empty one. "
            "Leave this view out with the reader's views, or this moment out of the dataset."
        )
    return view.mask


def bounds(mask: Bytes) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge in pixels of what is more than half covered."""
    inside = mask > HALF
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
