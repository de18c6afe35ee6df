"""One body point per sample, from a JSON file that somebody's tracker wrote.

    {"mouse-000120": [12.5, -3.0, 41.2],
     "mouse-000125": {"cam_000": [512.3, 498.0], "cam_001": [600.1, 455.7], "cam_004": null}}

Three numbers are a point of the raw world, in raw units. Two numbers per view name are raw pixels,
pixel centres at +0.5, before any undistortion; null or an absent view saw nothing.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import history, triangulate
from mfl_adapt.checks import is_number
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_LEAST_VIEWS = 2


class Keypoints:
    """The points of all samples of a dataset."""

    def __init__(self, file: Path) -> None:
        """Read the file.

        Raises:
            DataError: If it cannot be read or is not a JSON object.
        """
        self._file = file
        self._points = read_json(file, holds="keypoints per sample id")
        if not isinstance(self._points, dict):
            raise DataError(
                f"{file}: expected an object with sample ids as keys, got "
                f"{type(self._points).__name__}. Write one entry per sample id."
            )

    def find(self, sample: Sample) -> "Float":
        """Return the point of a sample in its current world, [3].

        Raises:
            DataError: If the sample has no entry, or one that gives no point.
        """
        entry = self._points.get(sample.id)
        if entry is None:
            raise DataError(
                f"{self._file}: expected a point of sample {sample.id}, got none. Add it, or "
                f"leave the sample out."
            )
        if _is_numbers(entry, 3):
            return history.from_raw_world(np.asarray(entry, np.float64), sample.provenance)
        if not isinstance(entry, dict):
            raise DataError(self._malformed(sample, entry))
        return self._triangulated(sample, entry)

    def _triangulated(self, sample: Sample, entry: dict[str, Any]) -> "Float":
        names = [view.name for view in sample.views]
        seen = {name: pixel for name, pixel in entry.items() if pixel is not None}
        for name, pixel in seen.items():
            if name not in names:
                raise DataError(
                    f"{self._file}: expected views of sample {sample.id}, got {name!r}. Its views: "
                    f"{', '.join(names)}."
                )
            if not _is_numbers(pixel, 2):
                raise DataError(self._malformed(sample, pixel))
        if len(seen) < _LEAST_VIEWS:
            raise DataError(
                f"{self._file}: expected the point of sample {sample.id} in {_LEAST_VIEWS} views "
                f"or more, got {len(seen)}. Add views, or leave the sample out."
            )
        indices = [names.index(name) for name in seen]
        pixels = np.concatenate([
            history.from_raw_pixels(np.array([seen[names[index]]]), index, sample.provenance)
            for index in indices
        ])
        if not np.isfinite(pixels).all():
            raise DataError(
                f"{self._file}: expected raw pixels inside the pictures of sample {sample.id}, "
                f"got one that its lens never shows. Check the pixels' order, x before y."
            )
        views = [sample.views[index] for index in indices]
        c2w = np.stack([view.c2w for view in views])
        return triangulate(pixels, c2w, np.stack([view.fxfycxcy for view in views])).point

    def _malformed(self, sample: Sample, value: Any) -> str:
        return (
            f"{self._file}: expected [x, y, z], or [x, y] per view name, for sample {sample.id}, "
            f"got {json.dumps(value)}. Mend the entry."
        )


def _is_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(is_number(one) for one in value)
