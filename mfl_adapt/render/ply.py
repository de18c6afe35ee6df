"""Gaussians from a PLY file, as splat viewers and trainers write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Gaussians

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "<i2",
    "int16": "<i2",
    "ushort": "<u2",
    "uint16": "<u2",
    "int": "<i4",
    "int32": "<i4",
    "uint": "<u4",
    "uint32": "<u4",
    "float": "<f4",
    "float32": "<f4",
    "double": "<f8",
    "float64": "<f8",
}
_LARGEST_HEADER = 65536
_END = b"end_header\n"
_COUNT = re.compile("[0-9]{1,18}")
# Coefficients above degree 0, all three colours together, by degree.
_REST_COUNTS = (0, 9, 24, 45)


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians and activate their values.

    Args:
        path: Binary little-endian PLY whose vertices have x y z, f_dc_0..2, opacity (a logit),
            scale_0..2 (logarithms) and rot_0..3 (w first), and f_rest_* of degree 0 to 3,
            colour by colour.

    Returns:
        One item [1, N, ...], float32. Spherical-harmonic coefficients that are 0 for every
        Gaussian are left out from the highest degree down.

    Raises:
        DataError: If the file is missing, of another kind, cut short, or holds values that are
            not finite.
    """
    import torch

    vertices = _read_vertices(path)
    x = _columns(vertices, ["x", "y", "z"], path)
    quats = _columns(vertices, [f"rot_{index}" for index in range(4)], path)
    length = np.linalg.norm(quats, axis=1, keepdims=True)
    if not (length > 0).all():
        raise DataError(f"{path}: expected rotations of a length above 0, got a quaternion of 0s.")
    logs = _columns(vertices, [f"scale_{index}" for index in range(3)], path)
    # Beyond float32 a size, a position or a colour is infinite, and a logit just 0 or 1.
    with np.errstate(over="ignore", under="ignore"):
        fields = (
            x.astype(np.float32),
            (quats / length).astype(np.float32),
            np.exp(logs).astype(np.float32),
            (1.0 / (1.0 + np.exp(-_columns(vertices, ["opacity"], path)[:, 0]))).astype(np.float32),
            _coefficients(vertices, path).astype(np.float32),
        )
    if not all(np.isfinite(field).all() for field in fields):
        raise DataError(
            f"{path}: expected numbers that float32 can hold, got larger ones. The file is "
            f"damaged; write it again."
        )
    return Gaussians(*(torch.from_numpy(field)[None] for field in fields))


def _read_vertices(path: Path) -> NDArray[np.void]:
    """Parse the header and take the vertices behind it.

    Raises:
        DataError: If the file cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable PLY file, got {error.strerror}.") from error
    end = content.find(_END, 0, _LARGEST_HEADER)
    if not content.startswith(b"ply\n") or end < 0:
        raise DataError(f"{path}: expected a PLY file with a header, got something else.")
    lines = content[:end].decode("ascii", "replace").splitlines()
    words = [line.split() for line in lines[1:] if line.strip() and not line.startswith("comment")]
    if ["format", "binary_little_endian", "1.0"] not in words:
        raise DataError(
            f"{path}: expected format binary_little_endian 1.0, got "
            f"{' '.join(next((word for word in words if word[0] == 'format'), ['none']))}."
        )
    elements = [word for word in words if word[0] == "element"]
    properties = [word[1:] for word in words if word[0] == "property"]
    counts = [word[2] for word in elements if len(word) == 3 and word[1] == "vertex"]
    if len(elements) != 1 or not counts or not _COUNT.fullmatch(counts[0]):
        raise DataError(f"{path}: expected vertices alone, got other elements in the header.")
    if any(len(entry) != 2 or entry[0] not in _TYPES for entry in properties):
        raise DataError(f"{path}: expected plain number properties, got lists or unknown types.")
    names = [name for _, name in properties]
    if not names or len(set(names)) < len(names):
        raise DataError(f"{path}: expected properties, each once, got {' '.join(names) or 'none'}.")
    kind = np.dtype([(name, _TYPES[word]) for word, name in properties])
    count, body = int(counts[0]), memoryview(content)[end + len(_END) :]
    if not count:
        raise DataError(f"{path}: expected at least one Gaussian, got none. Write it again.")
    if len(body) != count * kind.itemsize:
        raise DataError(
            f"{path}: expected {count * kind.itemsize} bytes for {count} Gaussians, got "
            f"{len(body)}. The file is damaged; write it again."
        )
    return np.frombuffer(body, kind)


def _columns(vertices: NDArray[np.void], names: list[str], path: Path) -> NDArray[np.float64]:
    """Several properties as one array [N, len(names)].

    Raises:
        DataError: If one is missing or not finite.
    """
    missing = [name for name in names if name not in (vertices.dtype.names or ())]
    if missing:
        raise DataError(
            f"{path}: expected the property {missing[0]} of Gaussians, got none. This PLY file "
            "holds plain points or a mesh."
        )
    with np.errstate(invalid="ignore"):  # some kinds of NaN complain when they are converted
        values = np.stack([vertices[name].astype(np.float64) for name in names], axis=1)
    # Larger ones are infinite as float32, and so are their squares as float64.
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise DataError(f"{path}: expected finite numbers, got others in {', '.join(names)}.")
    return values


def _coefficients(vertices: NDArray[np.void], path: Path) -> NDArray[np.float64]:
    """Spherical-harmonic coefficients, [N, K, 3].

    Raises:
        DataError: If their number is not that of a degree.
    """
    base = _columns(vertices, [f"f_dc_{index}" for index in range(3)], path)[:, None]
    names = [name for name in vertices.dtype.names or () if name.startswith("f_rest_")]
    if len(names) not in _REST_COUNTS:
        raise DataError(
            f"{path}: expected 0, 9, 24 or 45 f_rest properties, got {len(names)}. Write the file "
            "with spherical harmonics of degree 0 to 3."
        )
    if not names:
        return base
    rest = _columns(vertices, [f"f_rest_{index}" for index in range(len(names))], path)
    higher = rest.reshape(len(rest), 3, -1).transpose(0, 2, 1)
    used = np.flatnonzero(higher.any(axis=(0, 2)))
    last = used[-1] + 1 if len(used) else 0
    kept = next(count // 3 for count in _REST_COUNTS if count // 3 >= last)
    return np.concatenate([base, higher[:, :kept]], axis=1)
