"""An adapter folder whose every byte is accounted for, found out without torch or peft."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mfl_adapt.adapter.header import DTYPES, AdapterHeader, read_header
from mfl_adapt.adapter.schema import CONFIG, EXTRA, EXTRA_PREFIX, WEIGHTS, read_json
from mfl_adapt.errors import AdapterError


class _Piece(NamedTuple):
    """One tensor in a file: its name and line in the hash, and where its bytes are."""

    name: str
    title: str
    path: Path
    start: int
    size: int


def read_intact(folder: Path) -> AdapterHeader:
    """Read an adapter folder and hold its weights and settings against its passport.

    The hash is that of ``digest_tensors``, taken over the bytes as they lie in the files. Whether
    the adapter does what it did, only ``load`` can tell.

    Args:
        folder: Folder that ``save`` wrote.

    Raises:
        AdapterError: If a file is missing or broken, or the weights or the settings are not those
            that the passport names.
    """
    header = read_header(folder)
    described = header.passport["adapter"]
    parts = [EXTRA] if "extra" in described else []
    if described["method"] is not None:
        _check_settings(folder / CONFIG, described["method"])
        parts.insert(0, WEIGHTS)
    found, wanted = _digest(folder, parts), header.passport["adapter_hash"]
    if found != wanted:
        raise AdapterError(
            f"{' and '.join(str(folder / name) for name in parts)}: expected weights of hash "
            f"{wanted}, which the passport names, got {found}. Fetch the adapter again; the "
            "weights were changed."
        )
    return header


def _check_settings(path: Path, method: str) -> None:
    """Raise unless the settings are those of the method.

    Raises:
        AdapterError: If they are of another one, or of none.
    """
    settings = read_json(path)
    found = settings.get("peft_type") if isinstance(settings, dict) else settings
    if found != method:
        raise AdapterError(
            f"{path}: expected the settings of an adapter with peft_type {method}, got "
            f"{'none' if found is None else repr(found)[:40]}. Fetch the adapter again."
        )


def _digest(folder: Path, parts: list[str]) -> str:
    """Hash the tensors of files whose headers were checked.

    Raises:
        AdapterError: If a file cannot be read any more.
    """
    digest = hashlib.sha256()
    try:
        pieces = [piece for name in parts for piece in _pieces(folder / name)]
        for piece in sorted(pieces):
            digest.update(f"{piece.title}\n".encode())
            with piece.path.open("rb") as stream:
                stream.seek(piece.start)
                digest.update(stream.read(piece.size))
    except OSError as error:
        raise AdapterError(
            f"{folder}: expected files of weights that can be read, got {error.strerror or error}. "
            "Check the disk."
        ) from error
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[_Piece]:
    prefix = EXTRA_PREFIX if path.name == EXTRA else ""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        entries = json.loads(stream.read(length))
    for name, entry in entries.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            title = f"{prefix}{name} {DTYPES[entry['dtype']][0]} {entry['shape']}"
            yield _Piece(prefix + name, title, path, 8 + length + start, end - start)
