"""What the masks say about the subject, measured in planes through it.

Each view is looked at as by a camera turned to the subject: the coordinates of a mask's pixel are
those of its ray in the plane through the subject's point, across the line of sight, in world
units. They do not depend on where in the raw picture the subject was, nor on focal lengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground
from mfl_adapt.types import Sample, View

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float

_HALF = 127
# Enough cells for a centre to 0.01 px and a diameter to a few pixels of a raw frame.
_MOST_CELLS = 6000
# Contact with the frame, as a share of the side, from which a mask counts as cut: the centre of a
# cut mask is not the subject's.
_CUT = 0.02
_DIRECTIONS = 18
# Share of the cells beyond a diameter's ends that may be specks of a bad mask.
_TRIM = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Silhouette:
    """A mask as weighted points: the centres of mass of its cells.

    Attributes:
        view: Index of the view.
        pixels: Pixel coordinates (x, y), [P, 2].
        weights: Pixels that each point stands for, [P].
        cell_px: Side of a cell in pixels.
        cut: Whether the frame cuts the mask.
    """

    view: int
    pixels: "Float"
    weights: "Float"
    cell_px: int
    cut: bool


class Size(NamedTuple):
    """How large a mask is, in world units at the subject's distance.

    Attributes:
        extent: Largest width over all directions in the picture.
        radius: Largest distance from the subject's point.
    """

    extent: float
    radius: float


def read_silhouettes(sample: Sample) -> list[Silhouette]:
    """Turn the masks into points; views without a mask are left out.

    Raises:
        DataError: If a mask is empty.
    """
    return [
        _silhouette(index, view, view.mask, sample)
        for index, view in enumerate(sample.views)
        if view.mask is not None
    ]


def _silhouette(index: int, view: View, mask: "Bytes", sample: Sample) -> Silhouette:
    foreground = measure_foreground(mask)
    rows, columns = (np.flatnonzero(mask.max(axis) > _HALF) for axis in (1, 0))
    if not len(rows):
        raise DataError(
            f"{view.source or f'{sample.id}/{view.name}'}: expected a mask that shows the subject, "
            f"got an empty one. Mend the mask, leave out this view or sample, or give place and "
            f"extent of the subject as numbers."
        )
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    side = int(np.ceil(np.sqrt(part.size / _MOST_CELLS)))
    pixels, weights = _cells(part, side)
    cut = max(foreground.border_px.values()) > _CUT * max(mask.shape)
    corner = np.array([left, top])
    return Silhouette(index, pixels + corner, weights, side, cut)


def _cells(mask: "Bytes", side: int) -> tuple["Float", "Float"]:
    """Centres of mass (x, y) and weights of square cells that are not empty."""
    height, width = (int(np.ceil(length / side)) for length in mask.shape)
    whole = np.zeros((height * side, width * side), np.uint8)
    whole[: mask.shape[0], : mask.shape[1]] = mask
    # Sums along one side first, in whole numbers: most of the pixels are gone after them.
    rows = whole.reshape(height, side, -1).sum(axis=1, dtype=np.uint32) / 255.0
    columns = whole.reshape(-1, width, side).sum(axis=2, dtype=np.uint32) / 255.0
    x, y = np.arange(width * side) + 0.5, np.arange(height * side)[:, None] + 0.5
    total = rows.reshape(height, width, side).sum(axis=2)
    sum_x = (rows * x).reshape(height, width, side).sum(axis=2)
    sum_y = (columns * y).reshape(height, side, width).sum(axis=1)
    # A rim of faint pixels is neither inside nor outside; half a pixel is the least that counts.
    kept = total >= 0.5
    centers = np.stack([sum_x[kept], sum_y[kept]], axis=1) / total[kept][:, None]
    return centers, total[kept]


def spread(silhouette: Silhouette, view: View, axes: "Float", point: "Float") -> "Float":
    """Coordinates of a silhouette's points in the plane through ``point``, [P, 2].

    Args:
        silhouette: Of this view.
        view: Whose camera sees it.
        axes: Camera axes in the world as columns, z towards ``point``, [3, 3].
        point: The subject, [3].
    """
    fx, fy, cx, cy = view.fxfycxcy
    rays = np.ones((len(silhouette.pixels), 3))
    rays[:, :2] = (silhouette.pixels - [cx, cy]) / [fx, fy]
    rays = rays @ (view.c2w[:3, :3].T @ axes)
    return rays[:, :2] / rays[:, 2:] * np.linalg.norm(point - view.c2w[:3, 3])


def center_of(silhouette: Silhouette, coordinates: "Float", view: View, axes: "Float") -> "Float":
    """Centre of mass of a silhouette in the plane of ``spread``, [2]; areas as seen there."""
    fx, fy, cx, cy = view.fxfycxcy
    turn = view.c2w[:3, :3].T @ axes
    depth = (silhouette.pixels - [cx, cy]) / [fx, fy] @ turn[:2, 2] + turn[2, 2]
    # A turn of the camera stretches areas by the inverse cube of the depth.
    weights = silhouette.weights / depth**3
    center: Float = weights @ coordinates / weights.sum()
    return center


def size_of(silhouette: Silhouette, coordinates: "Float", view: View, point: "Float") -> Size:
    """Width and radius of a silhouette in the plane of ``spread``, trimmed of specks."""
    angles = np.pi / _DIRECTIONS * np.arange(_DIRECTIONS)
    along = coordinates @ np.stack([np.cos(angles), np.sin(angles)])
    low, high = np.quantile(along, [_TRIM, 1.0 - _TRIM], axis=0)
    far = float(np.quantile(np.linalg.norm(coordinates, axis=1), 1.0 - _TRIM))
    # Points are centres of cells; the outermost cells reach half a side further.
    distance = float(np.linalg.norm(point - view.c2w[:3, 3]))
    cell = silhouette.cell_px * distance / float(np.sqrt(view.fxfycxcy[0] * view.fxfycxcy[1]))
    return Size(float((high - low).max()) + cell, far + cell / 2)


def agreed(values: Sequence[float]) -> float:
    """Second largest of three values or more, else the largest.

    An animal shows its length to a few views only, so a median would be too small; one view with
    a bad mask must not decide.
    """
    ordered = sorted(values, reverse=True)
    return ordered[1] if len(ordered) >= 3 else ordered[0]
