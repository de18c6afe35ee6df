"""Gaussians as a binary PLY file, 239 bytes each, in the form that splat viewers read.

The file holds values *before* activation: logit of the opacity, logarithm of the scales, raw
spherical-harmonic coefficients. Colours as bytes are there for viewers of plain point clouds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.files import write_atomically
from mfl_adapt.types import Gaussians

from .config import PlyConfig
from .paths import check_suffix
from .raw import SH_C0, RawGaussians, check_raw, to_raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .raw import Float32

REST = 15
"""Coefficients per colour above degree 0 that the file has room for: degree 3."""

FIELDS = (
    *((name, "<f4") for name in ("x", "y", "z")),
    *((name, "u1") for name in ("red", "green", "blue")),
    *((f"f_dc_{index}", "<f4") for index in range(3)),
    *((f"f_rest_{index}", "<f4") for index in range(3 * REST)),
    ("opacity", "<f4"),
    *((f"scale_{index}", "<f4") for index in range(3)),
    *((f"rot_{index}", "<f4") for index in range(4)),
)
TYPE_WORDS = {"<f4": "float", "u1": "uchar"}


class Ply:
    """The component ``exporters.ply``."""

    def __init__(self, config: PlyConfig) -> None:
        self.config = config

    def __call__(self, gaussians: Gaussians, path: Path) -> None:
        """Write the first item of the batch, whole or not at all.

        Args:
            gaussians: Activated values, [B, N, ...].
            path: File to write, ending in ``.ply``.

        Raises:
            RangeError: If the path has another ending, or a value is not finite.
            ShapeError: If the spherical harmonics are not of degree 0 to 3.
            StorageError: If the file cannot be written.
        """
        path = Path(path)
        check_suffix("exporters.ply", path, ".ply")
        write_atomically(path, encode_ply(to_raw(gaussians)))


def encode_ply(raw: RawGaussians) -> bytes:
    """Return the whole file.

    Args:
        raw: N Gaussians before activation.

    Returns:
        ``binary_little_endian 1.0`` with one element ``vertex``. Higher coefficients are written
        colour by colour, each padded with zeros to 15.

    Raises:
        ShapeError: If the arrays do not belong together, or K is not 1, 4, 9 or 16.
        RangeError: If a value is not finite.
    """
    count = len(raw.means)
    check_raw(raw, "exporters.ply")
    vertices = np.zeros(count, dtype=list(FIELDS))
    _put(vertices, ("x", "y", "z"), raw.means)
    dc = raw.sh[:, 0]
    # Truncated, not rounded, in float32: viewers were given these bytes by the original.
    colours = np.clip(np.float32(255) * (np.float32(0.5) + np.float32(SH_C0) * dc), 0, 255)
    _put(vertices, ("red", "green", "blue"), colours.astype(np.uint8))
    _put(vertices, [f"f_dc_{index}" for index in range(3)], dc)
    rest = np.zeros((count, 3, REST), dtype=np.float32)
    rest[:, :, : raw.sh.shape[1] - 1] = raw.sh[:, 1:].transpose(0, 2, 1)
    _put(vertices, [f"f_rest_{index}" for index in range(3 * REST)], rest.reshape(count, 3 * REST))
    vertices["opacity"] = raw.opacity_logits
    _put(vertices, [f"scale_{index}" for index in range(3)], raw.log_scales)
    _put(vertices, [f"rot_{index}" for index in range(4)], raw.quats)
    return _header(count) + vertices.tobytes()


def _header(count: int) -> bytes:
    properties = [f"property {TYPE_WORDS[kind]} {name}" for name, kind in FIELDS]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}", *properties]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")


def _put(vertices: NDArray[np.void], names: list[str] | tuple[str, ...], values: Float32) -> None:
    for name, column in zip(names, values.T, strict=True):
        vertices[name] = column
