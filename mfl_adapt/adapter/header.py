"""What an adapter folder says about itself, read from passports and headers alone.

Nothing here imports torch or reads a weight, and nothing is larger than ``MAX_JSON``, so that an
adapter from a stranger can be looked at before anything of it is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.adapter.schema import (
    CONFIG,
    EXTRA,
    EXTRA_PREFIX,
    HEADER_KEY,
    MAX_JSON,
    PASSPORT,
    WEIGHTS,
    check_schema,
    parse_json,
    read_json,
)
from mfl_adapt.errors import AdapterError

DTYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "F32": ("float32", 4),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
    "F64": ("float64", 8),
}
"""torch's word, and bytes per number, of the number formats of safetensors."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a file.

    Attributes:
        dtype: torch's word for its number format, ``float32``.
        shape: Its sizes; empty for a single number.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class AdapterHeader:
    """An adapter folder whose passport and headers agree; its weights were not read.

    Attributes:
        folder: Where it lies.
        passport: What it says about itself.
        tensors: By name; those of its own network begin with ``extra.``, as in the adapter hash.
        files: Size in bytes of every file of the folder, by name, sorted.
    """

    folder: Path
    passport: dict[str, Any]
    tensors: dict[str, TensorEntry]
    files: dict[str, int]


def read_header(folder: Path) -> AdapterHeader:
    """Read an adapter folder without its weights.

    Args:
        folder: Folder that ``save`` wrote.

    Returns:
        Passport, and name, format and sizes of every tensor.

    Raises:
        AdapterError: If a file is missing, too large or broken, files do not belong together, or
            the passport is of another schema.
    """
    folder = Path(folder)
    passport = read_json(folder / PASSPORT)
    check_schema(passport, str(folder / PASSPORT))
    described = passport["adapter"]
    changes_layers, has_extra = described["method"] is not None, "extra" in described
    _check_files(folder, {WEIGHTS: changes_layers, CONFIG: changes_layers, EXTRA: has_extra})
    tensors: dict[str, TensorEntry] = {}
    for name, wanted, prefix in ((WEIGHTS, changes_layers, ""), (EXTRA, has_extra, EXTRA_PREFIX)):
        if wanted:
            found = _read_part(folder / name, passport)
            tensors |= {prefix + key: entry for key, entry in found.items()}
    return AdapterHeader(folder, passport, tensors, list_files(folder))


def read_tensor_header(path: Path) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Read the header of a safetensors file and hold it against the file's size.

    Args:
        path: The file.

    Returns:
        Tensors by name, sorted, and the texts beside them.

    Raises:
        AdapterError: If it cannot be read, is cut off or longer than its tensors, or no
            safetensors file.
    """
    try:
        return _read_entries(path)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = str(error).rstrip(".")
    raise AdapterError(
        f"{path}: expected a whole safetensors file, got: {reason}. Fetch the adapter again."
    )


def list_files(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file of a folder, by name, sorted.

    Raises:
        AdapterError: If the folder cannot be read.
    """
    try:
        return {one.name: one.stat().st_size for one in sorted(folder.iterdir()) if one.is_file()}
    except OSError as error:
        raise AdapterError(
            f"{folder}: expected an adapter folder, got: {error.strerror}. Check the path."
        ) from error


def _read_part(path: Path, passport: Mapping[str, Any]) -> dict[str, TensorEntry]:
    """Read the header of one file of weights.

    Raises:
        AdapterError: If it is missing or broken, or carries another passport.
    """
    tensors, texts = read_tensor_header(path)
    carried = parse_json(texts[HEADER_KEY].encode(), path) if HEADER_KEY in texts else None
    if carried != passport:
        raise AdapterError(
            f"{path.parent}: expected one passport in {PASSPORT} and in the header of {path.name}, "
            "got two that differ. Fetch the adapter again; one of the files was changed."
        )
    return tensors


def _read_entries(path: Path) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Read a header.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it breaks a rule of the format.
    """
    if path.exists() and not path.is_file():
        raise ValueError("something that is no file")
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > MAX_JSON:
            raise ValueError(f"a header of {length} bytes, more than {MAX_JSON}")
        encoded = stream.read(length)
        size = path.stat().st_size - 8 - length
    if size < 0:
        raise ValueError(f"a header that ends {-size} bytes after the file")
    entries = parse_json(encoded, path)
    if not isinstance(entries, dict):
        raise ValueError("a header that is no mapping")
    texts = entries.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(one, str) for one in texts.values()):
        raise ValueError("metadata that are no texts")
    _check_extents(entries, size)
    return {name: _entry(entries[name]) for name in sorted(entries)}, texts


def _check_extents(entries: Mapping[str, Any], size: int) -> None:
    """Raise unless the tensors fill the rest of the file without gap or overlap.

    Raises:
        ValueError: If they do not, or an entry has another form.
    """
    extents = []
    for name, entry in entries.items():
        if not _has_form(entry):
            raise ValueError(f"an entry {name!r} without a known dtype, shape and data_offsets")
        begin, end = entry["data_offsets"]
        wanted = math.prod(entry["shape"]) * DTYPES[entry["dtype"]][1]
        if end - begin != wanted:
            raise ValueError(f"{end - begin} bytes for {name!r}, which takes {wanted}")
        extents.append((begin, end))
    reached = 0
    for begin, end in sorted(extents):
        if begin != reached:
            raise ValueError(f"tensors that leave a gap or overlap at byte {reached}")
        reached = end
    if reached != size:
        raise ValueError(f"{size} bytes of tensors, where the header speaks of {reached}")


def _has_form(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    shape, offsets, dtype = entry["shape"], entry["data_offsets"], entry["dtype"]
    is_counts = all(isinstance(one, list) and all(map(_is_count, one)) for one in (shape, offsets))
    # A product of very many sizes would take for ever.
    is_small = is_counts and len(shape) <= 16 and len(offsets) == 2
    return is_small and isinstance(dtype, str) and dtype in DTYPES


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _entry(entry: Mapping[str, Any]) -> TensorEntry:
    return TensorEntry(DTYPES[entry["dtype"]][0], tuple(entry["shape"]))


def _check_files(folder: Path, expected: Mapping[str, bool]) -> None:
    """Raise if there is a file of which the passport says nothing.

    Raises:
        AdapterError: Naming that file. One that is missing is reported by who reads it.
    """
    for name, wanted in expected.items():
        if not wanted and (folder / name).exists():
            raise AdapterError(
                f"{folder}: expected no {name}, of which {PASSPORT} says nothing, got one. "
                "Fetch the adapter again; files of two adapters were mixed."
            )
