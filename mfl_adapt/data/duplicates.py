"""Samples on either side of a split that show nearly the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Sample

SIDE = 24
"""Side of the thumbnails that are compared, in pixels."""
NEAR = 15.0
"""Root mean square difference, in levels of 255, below which two subjects look the same."""


class Pair(NamedTuple):
    """Two samples that look alike.

    Attributes:
        train: Name of the sample on the training side.
        validation: Name of the sample on the validation side.
        difference: Root mean square difference over their subjects, in levels of 255.
    """

    train: str
    validation: str
    difference: float


class Thumbnails(NamedTuple):
    """A sample, small.

    Attributes:
        id: Name of the sample.
        grey: All views over white, [V * SIDE * SIDE] float32 in [0, 255].
        covered: Number of thumbnail pixels that the subject covers.
    """

    id: str
    grey: Float
    covered: float


def thumbnails(sample: Sample) -> Thumbnails:
    """Shrink all views of a sample.

    Raises:
        DataError: If a view has no mask.
    """
    import cv2

    small, covered = [], 0.0
    for view in sample.views:
        if view.mask is None:
            raise DataError(f"{view.source or view.name}: expected a mask, got none.")
        alpha = view.mask.astype(np.float32) / 255
        grey = view.rgb.astype(np.float32).mean(axis=2) * (255 / np.iinfo(view.rgb.dtype).max)
        white = grey * alpha + 255 * (1 - alpha)
        small.append(cv2.resize(white, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel())
        covered += float(alpha.mean()) * SIDE * SIDE
    return Thumbnails(sample.id, np.concatenate(small), covered)


def find_near(
    train: Sequence[Thumbnails], validation: Sequence[Thumbnails], near: float = NEAR
) -> list[Pair]:
    """Find validation samples that nearly equal a training sample.

    Args:
        train: Of the training side.
        validation: Of the validation side.
        near: Greatest difference that counts, in levels of 255.

    Returns:
        For each validation sample with such a neighbour the nearest one, nearest pair first.
        Samples with other numbers of views are not compared.
    """
    found = []
    for one in validation:
        others = [each for each in train if each.grey.size == one.grey.size]
        if not others:
            continue
        # Each pixel of the background is white in both, so only subjects can differ.
        sums = np.array([np.square(each.grey - one.grey).sum() for each in others])
        cover = np.array([max(each.covered, one.covered, 1.0) for each in others])
        differences = np.sqrt(sums / cover)
        best = int(differences.argmin())
        if differences[best] < near:
            found.append(Pair(others[best].id, one.id, float(differences[best])))
    return sorted(found, key=lambda pair: pair.difference)
