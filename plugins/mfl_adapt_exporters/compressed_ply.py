"""Gaussians as PlayCanvas's compressed PLY file, 16 bytes each and 72 per chunk of 256.

A chunk states the least and the greatest of its positions, log-scales and colours; every Gaussian
stands between them in a few bits. Chunks are small in space, so little is lost: on average over a
chunk, a position moves by its extent over 4 x 2047.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.files import write_atomically
from mfl_adapt.types import Gaussians

from .config import CompressedPlyConfig
from .morton import morton_order
from .paths import check_suffix
from .raw import (
    RawGaussians,
    check_raw,
    check_some,
    to_colours,
    to_opacities,
    to_raw,
    to_unit_quats,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint32]
    Float = NDArray[np.float64]

CHUNK = 256
POSITION_BITS = (11, 10, 11)
COLOUR_BITS = (8, 8, 8)
ROTATION_BITS = 10
LOG_SCALE_LIMIT = 20.0
"""Readers clamp beyond it; a scale of e^-20 is invisible anyway."""
SH_LIMIT = 4.0
"""Higher coefficients are stored from -4 to 4."""

WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_WHERE = "exporters.compressed_ply"
_log = logging.getLogger(__name__)


class CompressedPly:
    """The component ``exporters.compressed_ply``."""

    def __init__(self, config: CompressedPlyConfig) -> None:
        self.config = config

    def __call__(self, gaussians: Gaussians, path: Path) -> None:
        """Write the first item of the batch, whole or not at all.

        Args:
            gaussians: Activated values, [B, N, ...].
            path: File to write, ending in ``.compressed.ply``.

        Raises:
            RangeError: If the path has another ending, there is no Gaussian, or a value is not
                finite.
            ShapeError: If the spherical harmonics are not of degree 0 to 3.
            StorageError: If the file cannot be written.
        """
        path = Path(path)
        check_suffix(_WHERE, path, ".compressed.ply")
        write_atomically(path, encode_compressed_ply(to_raw(gaussians, _WHERE)))


def encode_compressed_ply(raw: RawGaussians) -> bytes:
    """Return the whole file.

    Args:
        raw: N Gaussians before activation.

    Returns:
        ``binary_little_endian 1.0`` with the elements ``chunk``, ``vertex`` and, above degree 0,
        ``sh``. The Gaussians are in Morton order, so that neighbours share a chunk.

    Raises:
        ShapeError: If the arrays do not belong together, or K is not 1, 4, 9 or 16.
        RangeError: If there is no Gaussian, or a value is not finite.
    """
    check_raw(raw, _WHERE)
    check_some(raw, _WHERE)
    order = morton_order(raw.means)
    raw = RawGaussians(*(values[order] for values in raw))
    log_scales = np.clip(raw.log_scales.astype(np.float64), -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
    ranges, packed = [], []
    for values, bits in (
        (raw.means.astype(np.float64), POSITION_BITS),
        (log_scales, POSITION_BITS),
        (to_colours(raw), COLOUR_BITS),
    ):
        low, high = _chunk_ranges(values)
        ranges += [low, high]
        packed.append(_pack(_between(values, low, high), bits))
    positions, scales, colours = packed
    opacities = np.rint(to_opacities(raw) * 255).astype(np.uint32)
    rotations = pack_rotations(to_unit_quats(raw, _WHERE))
    vertices = np.stack([positions, rotations, scales, colours << 8 | opacities], axis=1)
    chunks = np.concatenate(ranges, axis=1).astype("<f4")
    rest = _pack_rest(raw)
    header = _header(len(chunks), len(vertices), rest.shape[1])
    return header + chunks.tobytes() + vertices.astype("<u4").tobytes() + rest.tobytes()


def pack_rotations(quats: Float) -> Words:
    """Pack unit quaternions w, x, y, z [N, 4] into 2 + 3 x 10 bits.

    The first two bits name the largest component, which is made positive and left out; the others
    follow in order, from -1/sqrt(2) to 1/sqrt(2).
    """
    largest = np.abs(quats).argmax(axis=1)
    rows = np.arange(len(quats))
    signed = quats * np.where(quats[rows, largest] < 0, -1.0, 1.0)[:, None]
    others = signed[np.arange(4) != largest[:, None]].reshape(-1, 3)
    packed = _pack(others / np.sqrt(2) + 0.5, (ROTATION_BITS,) * 3)
    return largest.astype(np.uint32) << (3 * ROTATION_BITS) | packed


def _pack(shares: Float, bits: tuple[int, int, int]) -> Words:
    """Round numbers in [0, 1], [N, 3], to so many bits each, the first on top; [N]."""
    word = np.zeros(len(shares), np.uint32)
    for column, width in zip(shares.T, bits, strict=True):
        top = (1 << width) - 1
        word = word << width | np.rint(np.clip(column, 0, 1) * top).astype(np.uint32)
    return word


def _chunk_ranges(values: Float) -> tuple[Float, Float]:
    """Least and greatest of every chunk, [chunks, 3], as float32 can hold them."""
    starts = np.arange(0, len(values), CHUNK)
    low = np.minimum.reduceat(values, starts).astype(np.float32)
    high = np.maximum.reduceat(values, starts).astype(np.float32)
    return low.astype(np.float64), high.astype(np.float64)


def _between(values: Float, low: Float, high: Float) -> Float:
    """Where values stand in their chunk's range; 0 where the range is a point."""
    chunk = np.arange(len(values)) // CHUNK
    span = high - low
    shares: Float = (values - low[chunk]) / np.where(span > 0, span, 1.0)[chunk]
    return shares


def _pack_rest(raw: RawGaussians) -> NDArray[np.uint8]:
    """Coefficients above degree 0, colour by colour, [N, 3 (K - 1)], in steps of 1/32."""
    rest = raw.sh[:, 1:].astype(np.float64).transpose(0, 2, 1).reshape(len(raw.sh), -1)
    beyond = int((np.abs(rest) > SH_LIMIT).sum())
    if beyond:
        _log.warning(
            "%s: cut %d of %d spherical-harmonic coefficients to [-4, 4], which is all that the "
            "format holds; write .ply to keep them.",
            _WHERE,
            beyond,
            rest.size,
        )
    return np.clip(np.floor((rest / (2 * SH_LIMIT) + 0.5) * 256), 0, 255).astype(np.uint8)


def _header(chunks: int, vertices: int, rest: int) -> bytes:
    limits = [
        f"{end}_{name}"
        for names in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
        for end in ("min", "max")
        for name in names
    ]
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in limits]
    lines += [f"element vertex {vertices}", *(f"property uint {name}" for name in WORDS)]
    if rest:
        lines += [f"element sh {vertices}"]
        lines += [f"property uchar f_rest_{index}" for index in range(rest)]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")
