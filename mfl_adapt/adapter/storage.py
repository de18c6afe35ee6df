"""Folders and weight files that are written whole or not at all, always with the same bytes."""

import json
import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from mfl_adapt.errors import StorageError
from mfl_adapt.files import write_through


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, replaces: Collection[str] = ()
) -> None:
    """Make or replace a folder in one step.

    The files go into a hidden folder beside it, reach the disk, and take the name of the old
    folder, which stands until then.

    Args:
        folder: Folder to write. If it exists, it may hold nothing but files of these names.
        files: Contents by file name.
        replaces: Names of other files that an old folder may hold, and that go with it.

    Raises:
        StorageError: If the folder holds something else, or cannot be written; what was there
            before is untouched.
    """
    named, folder = folder, folder.resolve()
    _check_replaceable(folder, set(files) | set(replaces))
    mark = uuid.uuid4().hex[:8]
    partial = folder.with_name(f".{folder.name}.{mark}.partial")
    old = folder.with_name(f".{folder.name}.{mark}.old")
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            write_through(partial / name, content)
        _sync_folder(partial)
        _swap(partial, folder, old)
        _sync_folder(folder.parent)
    except OSError as error:
        raise StorageError(
            f"{named}: expected to write an adapter of {sum(map(len, files.values()))} bytes, got "
            f"{error.strerror or error}. Check the free space and the permissions of the folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def encode_safetensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file whose bytes depend on nothing but its content.

    The library writes the metadata in a random order; here they are sorted.

    Args:
        tensors: Tensors by name, on any device.
        metadata: Texts for the header.

    Returns:
        The whole file.
    """
    encoded = save({name: tensors[name].cpu().contiguous() for name in sorted(tensors)})
    length = int.from_bytes(encoded[:8], "little")
    entries = json.loads(encoded[8 : 8 + length])
    header = json.dumps({"__metadata__": dict(sorted(metadata.items()))} | entries).encode()
    # The data must begin at a multiple of 8; blanks after the header do that.
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + encoded[8 + length :]


def _check_replaceable(folder: Path, names: set[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise StorageError(
            f"{folder}: expected a folder or a free name, got a file. Choose another name."
        )
    foreign = sorted({entry.name for entry in folder.iterdir()} - names) if folder.exists() else []
    if foreign:
        raise StorageError(
            f"{folder}: expected an adapter folder or a free name, got a folder that also holds "
            f"{foreign[0]}. Choose another name; replacing it would lose that file."
        )


def _swap(partial: Path, folder: Path, old: Path) -> None:
    """Give ``partial`` the name of ``folder``, whose old content is put aside and then deleted."""
    if not folder.exists():
        partial.rename(folder)
        return
    folder.rename(old)
    try:
        partial.rename(folder)
    finally:
        if not folder.exists():
            old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
