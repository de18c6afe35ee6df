"""Where the subject is, and whether all cameras can see it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.cameras import triangulate
from mfl_adapt.errors import DataError
from mfl_adapt.types import Sample

from .config import Vector
from .rotations import rotation_between
from .silhouettes import Silhouette, Size, agreed, center_of, read_silhouettes, size_of, spread

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_LEAST_VIEWS = 3
# Diameter of the subject in pictures that frame it as FaceLift's do at 512.
_SUBJECT_PX = 300.0
# Centres of masks move when the cameras turn, by a little and less every time.
_ROUNDS = 3

Framing = Callable[["Float", float], "Float"]
"""Focal lengths in pixels from distances [V] to the subject and its extent, in one unit."""


class Located(NamedTuple):
    """A point and the views that were looked through; none where the point was given.

    Attributes:
        point: In the current world, [3].
        views: Indices of the views used.
        residuals: Per view used, how far the centre of its mask is from the point, in world units
            in the plane through the point across the line of sight.
        sizes: Per view used, the size of its mask in that plane.
    """

    point: "Float"
    views: tuple[int, ...] = ()
    residuals: tuple[float, ...] = ()
    sizes: tuple[Size, ...] = ()


def same_size(distances: "Float", extent: float) -> "Float":
    """Framing that shows the subject equally large in all views."""
    return _SUBJECT_PX / extent * distances


def find_subject(
    sample: Sample,
    wanted: str | Vector,
    *,
    named: "Callable[[Sample], Float] | None" = None,
    framing: Framing = same_size,
) -> Located:
    """Find what a component's setting asks for.

    Args:
        sample: One moment.
        wanted: ``origin``, ``masks``, ``keypoints`` or a point [x, y, z] of the current world.
        named: Gives the point for ``keypoints``.
        framing: Of the finished pictures; in them every view's centre of the mask counts alike,
            and whoever triangulates them finds the point in their middle.

    Returns:
        The point, with residuals if it was triangulated from masks.

    Raises:
        DataError: If there are no views, the masks do not tell, or a camera cannot see the point.
    """
    if not sample.views:
        raise DataError(f"sample {sample.id}: expected at least one view, got none.")
    if wanted == "masks":
        found = _from_masks(sample, framing)
    elif wanted == "keypoints" and named is not None:
        found = Located(named(sample))
    else:
        given = (0.0, 0.0, 0.0) if wanted == "origin" else wanted
        found = Located(np.asarray(given, np.float64))
    check_ahead(sample, found.point)
    return found


def check_ahead(sample: Sample, point: "Float") -> None:
    """Raise unless a point is in front of all cameras.

    Raises:
        DataError: If it is beside or behind one.
    """
    for view in sample.views:
        offset = point - view.c2w[:3, 3]
        if not offset @ view.c2w[:3, 2] > 1e-6 * np.linalg.norm(offset):
            x, y, z = point
            raise DataError(
                f"{view.source or f'{sample.id}/{view.name}'}: expected the subject in front of "
                f"the camera, got ({x:.4g}, {y:.4g}, {z:.4g}) behind it. Check this camera's pose, "
                f"its axes (OpenCV: z forward) and the subject's center."
            )


def distances_to(sample: Sample, point: "Float") -> "Float":
    """Distances of the camera centres from a point, [V]."""
    return np.linalg.norm(np.stack([view.c2w[:3, 3] for view in sample.views]) - point, axis=1)


def measure_sizes(sample: Sample, point: "Float") -> tuple[Size, ...]:
    """Size of the subject in every view that has a mask.

    Raises:
        DataError: If no view has a mask, or one is empty.
    """
    silhouettes = read_silhouettes(sample)
    if not silhouettes:
        raise DataError(
            f"sample {sample.id}: expected masks to measure the subject, got none. Add "
            f"preprocess.auto_mask to data.preprocess, or give extent in raw world units."
        )
    return _sizes(sample, silhouettes, _look(sample, silhouettes, point), point)


def _from_masks(sample: Sample, framing: Framing) -> Located:
    """Triangulate the centres of the masks.

    The centre of a mask is another point of the subject in a picture taken aslant than in one
    turned to it. So the masks are looked at as the finished cameras will, which the point decides
    in turn: a few rounds settle it.

    Raises:
        DataError: If there are fewer than three masks, or their rays do not cross ahead.
    """
    silhouettes = _usable(sample)
    views = [sample.views[one.view] for one in silhouettes]
    pixels = np.stack([one.weights @ one.pixels / one.weights.sum() for one in silhouettes])
    c2w = np.stack([view.c2w for view in views])
    point = _triangulate(sample, pixels, c2w, np.stack([view.fxfycxcy for view in views]))
    look = _look(sample, silhouettes, point)
    extent = agreed([size.extent for size in _sizes(sample, silhouettes, look, point)])
    for _ in range(_ROUNDS):
        distances = np.linalg.norm(c2w[:, :3, 3] - point, axis=1)
        focals = framing(distances, extent)
        square = np.stack([focals, focals, 0.0 * focals, 0.0 * focals], axis=1)
        pixels = (focals / distances)[:, None] * look.centers
        point = _triangulate(sample, pixels, look.poses, square)
        look = _look(sample, silhouettes, point)
    return Located(
        point=point,
        views=tuple(one.view for one in silhouettes),
        residuals=tuple(np.linalg.norm(look.centers, axis=1).tolist()),
        sizes=_sizes(sample, silhouettes, look, point),
    )


class _Look(NamedTuple):
    # Views turned to a point: poses [U, 4, 4], centres of masks [U, 2] and their points' places in
    # the planes through it.
    poses: "Float"
    centers: "Float"
    planes: "list[Float]"


def _look(sample: Sample, silhouettes: Sequence[Silhouette], point: "Float") -> _Look:
    check_ahead(sample, point)
    poses, centers, planes = [], [], []
    for one in silhouettes:
        view = sample.views[one.view]
        pose = view.c2w.copy()
        turn = rotation_between(pose[:3, 2], point - pose[:3, 3])
        pose[:3, :3] = turn @ pose[:3, :3]
        plane = spread(one, view, pose[:3, :3], point)
        poses.append(pose)
        planes.append(plane)
        centers.append(center_of(one, plane, view, pose[:3, :3]))
    return _Look(np.stack(poses), np.stack(centers), planes)


def _sizes(
    sample: Sample, silhouettes: Sequence[Silhouette], look: _Look, point: "Float"
) -> tuple[Size, ...]:
    return tuple(
        size_of(one, plane, sample.views[one.view], point)
        for one, plane in zip(silhouettes, look.planes, strict=True)
    )


def _usable(sample: Sample) -> list[Silhouette]:
    """Masks that are whole, or all of them where too few are.

    Raises:
        DataError: If there are fewer than three.
    """
    silhouettes = read_silhouettes(sample)
    if len(silhouettes) < _LEAST_VIEWS:
        raise DataError(
            f"sample {sample.id}: expected masks in {_LEAST_VIEWS} views or more to find the "
            f"subject, got {len(silhouettes)}. Add masks with preprocess.auto_mask, or set a point "
            f"[x, y, z] (or keypoints, in virtual_camera) instead of masks."
        )
    whole = [one for one in silhouettes if not one.cut]
    return whole if len(whole) >= _LEAST_VIEWS else silhouettes


def _triangulate(sample: Sample, pixels: "Float", c2w: "Float", fxfycxcy: "Float") -> "Float":
    """Return the point; name the sample in errors.

    Raises:
        DataError: If the rays do not cross.
    """
    try:
        return triangulate(pixels, c2w, fxfycxcy).point
    except DataError as error:
        raise DataError(f"sample {sample.id}: {error}") from error
