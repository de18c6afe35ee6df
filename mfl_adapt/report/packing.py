"""Gaussians in the 32 bytes each that the page's own viewer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.checks import check_finite
from mfl_adapt.errors import DataError, RangeError

if TYPE_CHECKING:
    from pathlib import Path

    from mfl_adapt.types import Gaussians

_C0 = 0.28209479177387814
_SPLAT = np.dtype([
    ("mean", "<f4", 3),
    ("scale", "<f4", 3),
    ("rgba", "u1", 4),
    ("quat", "u1", 4),
])
SPLAT_BYTES = _SPLAT.itemsize


def pack_splats(gaussians: Gaussians, where: str) -> bytes:
    """Pack the first item of a batch for display.

    Colours and opacities are rounded to 8 bits and cut to [0, 1], rotations to 8 bits per
    component. Colours that depend on the direction are shown without that part.

    Args:
        gaussians: Activated values, [B, N, ...].
        where: Whose Gaussians these are, for messages.

    Returns:
        32 N bytes: position and scales in float32, red, green, blue and opacity, and the
        quaternion w, x, y, z around 128.

    Raises:
        RangeError: If there is no Gaussian, or a value is not finite.
    """
    fields = {
        name: np.asarray(getattr(gaussians, name)[0].detach().cpu(), dtype=np.float64)
        for name in ("means", "quats", "scales", "opacities", "sh")
    }
    count = len(fields["means"])
    if count == 0:
        raise RangeError(
            f"{where}: expected at least one Gaussian, got none. Filter less, or look at the "
            f"pictures that went in."
        )
    for name, values in fields.items():
        check_finite(f"{where}: {name}", values, hint="Check the adapter and its base.")
    splats = np.zeros(count, _SPLAT)
    splats["mean"] = fields["means"]
    splats["scale"] = fields["scales"]
    rgb = 0.5 + _C0 * fields["sh"][:, 0]
    rgba = np.concatenate([rgb, fields["opacities"][:, None]], axis=1)
    splats["rgba"] = np.rint(np.clip(rgba, 0, 1) * 255)
    length = np.linalg.norm(fields["quats"], axis=1, keepdims=True)
    unit = fields["quats"] / np.maximum(length, np.finfo(np.float64).tiny)
    splats["quat"] = np.clip(np.rint(unit * 128 + 128), 0, 255)
    return splats.tobytes()


def read_splats(file: Path) -> bytes:
    """Read what ``pack_splats`` makes from a ``.splat`` file.

    Raises:
        DataError: If the file cannot be read, is cut short, or holds positions or sizes that are
            not finite.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: expected a readable file, got {error.strerror}.") from error
    if not data or len(data) % SPLAT_BYTES:
        raise DataError(
            f"{file}: expected Gaussians of {SPLAT_BYTES} bytes each, got {len(data)} bytes. The "
            f"file is damaged; write it again."
        )
    splats = np.frombuffer(data, _SPLAT)
    if not (np.isfinite(splats["mean"]).all() and np.isfinite(splats["scale"]).all()):
        raise DataError(
            f"{file}: expected finite positions and sizes, got others. The file is damaged; write "
            f"it again."
        )
    return data
