"""Predictions back where they belong: raw pixels and raw world units.

Everything here takes what lives in a finished sample's frame and its provenance. Points and
pixels alone are ``history.to_raw_world`` and ``history.to_raw_pixels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras.history import to_raw_pixels, to_raw_world, world_change
from mfl_adapt.cameras.similarity import invert
from mfl_adapt.checks import check_shape
from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Gaussians, Provenance

# Points along each side of a box in a picture: a lens bends the sides.
_SIDE_POINTS = 65


def unmap_points(points: Float, history: Sequence[Provenance]) -> Float:
    """Raw world points of finished ones, [..., 3]."""
    return to_raw_world(points, history)


def unmap_pixels(pixels: Float, view: int, history: Sequence[Provenance]) -> Float:
    """Raw pixels of a finished view's pixels, [P, 2]; NaN beyond the fold of a lens model.

    Raises:
        DataError: If the history does not begin at raw cameras.
        RangeError: If the history has no such view.
    """
    return to_raw_pixels(pixels, view, history)


def unmap_box(box: Float, history: Sequence[Provenance]) -> Float:
    """Raw world corners of an axis-aligned box.

    The raw world may be turned against the finished one, so the box stays a box but its sides
    need not follow the raw axes.

    Args:
        box: Lowest and highest corner, [2, 3].
        history: The sample's provenance.

    Returns:
        Eight corners, [8, 3]; the first is the lowest one, the last the highest, z runs fastest.

    Raises:
        ShapeError: If the box is not [2, 3].
    """
    box = np.asarray(box, np.float64)
    check_shape("unmap_box: box", box, [2, 3])
    corners = [[box[i, 0], box[j, 1], box[k, 2]] for i, j, k in product((0, 1), repeat=3)]
    return to_raw_world(np.array(corners), history)


def unmap_picture_box(box: Float, view: int, history: Sequence[Provenance]) -> Float:
    """Upright box in the raw frame around a box of a finished view.

    Args:
        box: Left, top, right and bottom in pixels of the finished view, [4].
        view: Index of the view in the finished sample.
        history: The sample's provenance.

    Returns:
        Left, top, right and bottom in raw pixels, [4].

    Raises:
        ShapeError: If the box is not [4].
        DataError: If the history does not begin at raw cameras, or no part of the box's outline
            was in the raw frame.
        RangeError: If the history has no such view.
    """
    box = np.asarray(box, np.float64)
    check_shape("unmap_picture_box: box", box, [4])
    along = np.linspace(0.0, 1.0, _SIDE_POINTS)
    zero, one = np.zeros_like(along), np.ones_like(along)
    across = np.concatenate([along, along, zero, one])
    down = np.concatenate([zero, one, along, along])
    outline = box[:2] + np.stack([across, down], axis=1) * (box[2:] - box[:2])
    raw = to_raw_pixels(outline, view, history)
    raw = raw[np.isfinite(raw).all(axis=1)]
    if not len(raw):
        raise DataError(
            f"unmap_picture_box: expected a box that the raw frame showed, got {box.tolist()} of "
            f"view {view}, all beyond the lens model. Choose a box inside the picture."
        )
    return np.concatenate([raw.min(axis=0), raw.max(axis=0)])


def unmap_gaussians(gaussians: Gaussians, history: Sequence[Provenance]) -> Gaussians:
    """Gaussians in the raw world, in raw units.

    Args:
        gaussians: In the finished sample's world; fields are torch tensors or numpy arrays.
        history: The sample's provenance.

    Returns:
        The same Gaussians, of the same kind and precision, moved, turned and scaled.

    Raises:
        DataError: If the colours depend on the direction and the world was turned.
    """
    back = invert(world_change(history))
    rotation = np.array(back.rotation)
    if gaussians.sh.shape[-2] > 1 and not np.allclose(rotation, np.eye(3), rtol=0, atol=1e-12):
        raise DataError(
            f"unmap_gaussians: expected one spherical-harmonic coefficient per colour, got "
            f"{gaussians.sh.shape[-2]}. Colours that change with the direction cannot be turned; "
            f"keep the first coefficient alone."
        )
    turned = _multiply(_quaternion(rotation), _array(gaussians.quats))
    return replace(
        gaussians,
        means=_like(gaussians.means, to_raw_world(_array(gaussians.means), history)),
        quats=_like(gaussians.quats, turned),
        scales=_like(gaussians.scales, back.scale * _array(gaussians.scales)),
    )


def _array(values: Any) -> Float:
    detached = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(detached, dtype=np.float64)


def _like(given: Any, values: Float) -> Any:
    if hasattr(given, "new_tensor"):
        return given.new_tensor(values)
    return values.astype(given.dtype)


def _quaternion(rotation: Float) -> Float:
    """Unit quaternion w, x, y, z of a rotation matrix."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    return np.array([w, x, y, z])


def _multiply(first: Float, second: Float) -> Float:
    """Hamilton product of a quaternion [4] and quaternions [..., 4], order w, x, y, z."""
    w, x, y, z = first
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return second @ left.T
