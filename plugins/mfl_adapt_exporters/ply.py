"""Gaussians as a binary PLY file, 239 bytes each, in the form that splat viewers read.

The file holds values *before* activation: logit of the opacity, logarithm of the scales, raw
spherical-harmonic coefficients. Colours as bytes are there for viewers of plain point clouds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.files import write_atomically
from mfl_adapt.types import Gaussians

from .config import PlyConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

SH_C0 = 0.28209479177387814
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


class RawGaussians(NamedTuple):
    """Gaussians before activation, as the file holds them; all float32.

    Attributes:
        means: World positions, [N, 3].
        sh: Spherical-harmonic coefficients, [N, K, 3], K = 1, 4, 9 or 16.
        opacity_logits: [N].
        log_scales: [N, 3].
        quats: Quaternions w, x, y, z of any length, [N, 4].
    """

    means: Float32
    sh: Float32
    opacity_logits: Float32
    log_scales: Float32
    quats: Float32


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
        if path.suffix.lower() != ".ply":
            raise RangeError(
                f"exporters.ply: expected a path that ends in .ply, got {path}. Rename it."
            )
        write_atomically(path, encode_ply(to_raw(gaussians)))


def to_raw(gaussians: Gaussians) -> RawGaussians:
    """Undo the activations of the first item of a batch.

    Opacities of exactly 0 and 1, whose logit is infinite, move by 1e-7; scales of 0 become the
    smallest float32.

    Args:
        gaussians: Activated values, [B, N, ...], torch or numpy.

    Returns:
        What the file holds.

    Raises:
        RangeError: If opacities are not in [0, 1], or scales negative or not finite.
    """
    means, quats, scales, opacities, sh = (
        np.asarray(tensor[0].detach().cpu(), dtype=np.float64)
        for tensor in (
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            gaussians.sh,
        )
    )
    for name, values, top in (("opacities", opacities, 1.0), ("scales", scales, np.inf)):
        where = f"exporters.ply: {name}"
        check_finite(where, values, hint="Check the adapter and its base.")
        for extreme in (values.min(initial=0.0), values.max(initial=0.0)):
            check_range(where, extreme, 0.0, top, hint="Give activated values.")
    opacities = np.clip(opacities, 1e-7, 1 - 1e-7)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    logits = np.log(opacities) - np.log1p(-opacities)
    raw = (means, sh, logits, np.log(scales), quats)
    return RawGaussians(*(values.astype(np.float32) for values in raw))


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
    _check(raw, count)
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


def _check(raw: RawGaussians, count: int) -> None:
    """Hold the arrays together.

    Raises:
        ShapeError: If K is not one that the file has room for.
    """
    expected: dict[str, list[int | None]] = {
        "means": [count, 3],
        "sh": [count, None, 3],
        "opacity_logits": [count],
        "log_scales": [count, 3],
        "quats": [count, 4],
    }
    for name, values in raw._asdict().items():
        check_shape(f"exporters.ply: {name}", values, expected[name])
        check_finite(f"exporters.ply: {name}", values, hint="Check the adapter and its base.")
    if raw.sh.shape[1] not in {1, 4, 9, 16}:
        raise ShapeError(
            f"exporters.ply: expected 1, 4, 9 or 16 spherical-harmonic coefficients per colour, "
            f"got {raw.sh.shape[1]}. Leave out those above degree 3."
        )
