"""Checks of what a user hands to ``reconstruct``: pictures and cameras."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfl_adapt.checks import check_finite, check_shape
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.types import Cameras

# Resampling and JPEG leave colours a little outside of [0, 1]; a picture in bytes is far outside.
_COLOUR_TOLERANCE = 0.01
# FaceLift's camera files hold float32 rotations, good to 1e-6; a scaled one is off by percents.
_ROTATION_TOLERANCE = 1e-3


def to_tensor(value: Any) -> Tensor:
    """Return a tensor as it is, and an array as a copy (torch warns of read-only arrays)."""
    return value if isinstance(value, Tensor) else torch.tensor(value)


def check_rgb(rgb: Tensor, patch: int) -> None:
    """Hold the pictures to their shape and range.

    Raises:
        ShapeError: If they are not [B, V, 3, H, W] with sides that are multiples of the patch.
        RangeError: If they are not floating-point, not finite or outside [0, 1].
    """
    where = "reconstruct: rgb"
    check_shape(where, rgb, (None, None, 3, None, None), hint="Order is [B, V, 3, H, W].")
    batch, views, _, height, width = rgb.shape
    if 0 in {batch, views, height, width}:
        raise ShapeError(f"{where}: expected at least one view, got {list(rgb.shape)}.")
    if height % patch or width % patch:
        raise ShapeError(
            f"{where}: expected height and width in multiples of {patch}, got {height} x {width}. "
            "Resize the pictures together with their cameras."
        )
    if not rgb.is_floating_point():
        raise RangeError(
            f"{where}: expected floating-point colours in [0, 1], got {rgb.dtype}. Divide by 255."
        )
    check_finite(where, rgb.detach())
    low, high = (float(end) for end in rgb.detach().aminmax())
    if low < -_COLOUR_TOLERANCE or high > 1 + _COLOUR_TOLERANCE:
        raise RangeError(
            f"{where}: expected colours in [0, 1], got {low:g} to {high:g}. "
            "Divide bytes by 255; move [-1, 1] to [0, 1]."
        )


def check_cameras(cameras: Cameras, rgb: Tensor) -> None:
    """Hold the cameras to the pictures, and to being cameras.

    Raises:
        ShapeError: If views or sizes differ from the pictures'.
        RangeError: If a pose is not rigid, a focal length not positive, or anything not finite.
    """
    where = "reconstruct: cameras"
    sizes = (*cameras.shape, cameras.height, cameras.width)
    expected = (*rgb.shape[:2], *rgb.shape[3:])
    if sizes != expected:
        raise ShapeError(
            f"{where}: expected [B, V, H, W] {list(expected)} like rgb, got {list(sizes)}."
        )
    # On the CPU: a few numbers, one transfer, and float64 on every machine.
    c2w, fxfycxcy = (t.detach().cpu().double() for t in (cameras.c2w, cameras.fxfycxcy))
    check_finite(where, c2w)
    check_finite(where, fxfycxcy)
    shortest = float(fxfycxcy[..., :2].min())
    if shortest <= 0:
        raise RangeError(f"{where}: expected positive focal lengths in pixels, got {shortest:g}.")
    _check_rigid(where, c2w)


def _check_rigid(where: str, c2w: Tensor) -> None:
    """Hold poses [B, V, 4, 4] to a proper rotation above the row 0, 0, 0, 1.

    Raises:
        RangeError: If a pose is sheared, scaled, mirrored or transposed.
    """
    rotation, last_row = c2w[..., :3, :3], c2w[..., 3, :]
    eye = torch.eye(4, dtype=c2w.dtype)
    if float((last_row - eye[3]).abs().max()) > _ROTATION_TOLERANCE:
        worst = last_row.reshape(-1, 4)[(last_row - eye[3]).abs().amax(dim=-1).argmax()]
        raise RangeError(
            f"{where}: expected the last row of c2w to be 0, 0, 0, 1, got "
            f"{[round(x, 4) for x in worst.tolist()]}. Is the matrix transposed?"
        )
    error = float((rotation.mT @ rotation - eye[:3, :3]).abs().max())
    if error > _ROTATION_TOLERANCE:
        raise RangeError(
            f"{where}: expected orthonormal rotations in c2w, got an error of {error:.2g}. "
            "Take scale and shear out of the poses."
        )
    if float(torch.linalg.det(rotation).min()) < 0:
        raise RangeError(
            f"{where}: expected rotations with determinant +1, got a mirrored one. "
            "Axes are x right, y down, z forward."
        )
