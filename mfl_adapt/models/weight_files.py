"""Open weight files: tell kinds apart by content and read them without running anything."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mfl_adapt.errors import CheckpointError

Kind = Literal["torch", "safetensors"]

# What torch.load and zipfile can raise for a damaged or hostile archive; torch documents few.
_READ_ERRORS = (
    SafetensorError,  # of a torch archive that is called .safetensors
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)


def open_file(path: Path) -> io.BufferedReader:
    """Open a file for reading bytes.

    Raises:
        CheckpointError: If there is no readable file.
    """
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in {".pt", ".safetensors"})
        hint = f"In it are: {', '.join(inside)}." if inside else "Name a file in it."
        raise CheckpointError(f"{path}: expected a checkpoint file, got a folder. {hint}")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint file, found nothing there. Check the path."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: expected a readable file: {error.strerror}.") from error


def find_kind(path: Path, head: bytes) -> Kind:
    """Tell the kind of file from its first 16 bytes.

    Raises:
        CheckpointError: If it is neither a torch archive nor safetensors; says what it is where
            that is easy to tell.
    """
    if head.startswith(b"PK\x03\x04"):
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if not head:
        got = "an empty file. Download it again"
    elif head.startswith(b"version https://"[: len(head)]):
        got = "a Git LFS pointer. Fetch the file itself with `git lfs pull`"
    elif head.lstrip().startswith(b"<"):
        got = "a web page. Download the file itself"
    elif head.startswith(b"\x80"):
        got = "a bare pickle. Save it again with torch.save of PyTorch 1.6 or later"
    else:
        got = "another kind of file or a damaged one. Download it again"
    raise CheckpointError(f"{path}: expected a .pt or .safetensors checkpoint, got {got}.")


def read_safetensors(path: Path) -> Mapping[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: If it is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(_damaged(path, error)) from error


def read_torch(path: Path) -> Any:
    """Read a torch archive without running anything in it.

    Raises:
        CheckpointError: If it is damaged or holds more than tensors and plain values.
    """
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_foreign(path, error)) from error
    except _READ_ERRORS as error:
        raise CheckpointError(_damaged(path, error)) from error


# The number with which torch.save began until PyTorch 1.6, as its pickle writes it.
_OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def is_old_torch(head: bytes) -> bool:
    """Whether a file, by its first 16 bytes, was written by torch.save before PyTorch 1.6."""
    return head.startswith(_OLD_TORCH)


def read_old_torch(path: Path, *, most: int = 2**30) -> Any:
    """Read a file of torch.save before PyTorch 1.6, as published image networks still are.

    It has neither checksums nor names of records, and is read whole, so that it is bounded;
    nothing in it is run.

    Args:
        path: The file.
        most: Greatest size in bytes.

    Raises:
        CheckpointError: If it is larger, damaged, or holds more than tensors and plain values.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise CheckpointError(f"{path}: expected at most {most} bytes, got {size}.")
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_foreign(path, error)) from error
    except _READ_ERRORS as error:
        raise CheckpointError(_damaged(path, error)) from error


def _check_archive(path: Path) -> None:
    """Compare every record with its checksum: torch.save writes them, torch.load skips them.

    Raises:
        BadZipFile: If the archive is cut off or a record has changed.
    """
    with zipfile.ZipFile(path) as archive:
        # torch never compresses; a kilobyte that unpacks to a terabyte is somebody's trap.
        packed = [one.filename for one in archive.infolist() if one.compress_type]
        if packed:
            raise zipfile.BadZipFile(f"{packed[0]} is compressed, as torch.save never leaves it")
        # torch.serialization.set_crc32_options(False) leaves every checksum at zero.
        has_checksums = any(record.CRC for record in archive.infolist())
        broken = archive.testzip() if has_checksums else None
    if broken is not None:
        raise zipfile.BadZipFile(f"the checksum of {broken} does not fit")


def _foreign(path: Path, error: pickle.UnpicklingError) -> str:
    """Word the refusal of a pickle that holds more than weights."""
    foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f" such as {foreign[1]}" if foreign else ""
    return (
        f"{path}: expected tensors and plain values, got a pickle with other Python objects"
        f"{what}, which could run code. Save only the state_dict."
    )


def _damaged(path: Path, error: BaseException) -> str:
    """Word a reading error; the reasons of other libraries can have many lines."""
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return (
        f"{path}: expected a whole checkpoint, got a damaged or truncated one ({reason}). "
        "Download it again."
    )
