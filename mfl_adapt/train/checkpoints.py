"""Checkpoint folders: written whole or not at all, hashed, verified before use, and rotated.

``checkpoints/step-N/`` is an adapter folder like any other, with two files more: ``state.json``
and ``state.safetensors`` hold what training needs to go on. ``SHA256SUMS`` lists the hash of every
other file, in the format of ``sha256sum --check``. The folder is written under a hidden name,
reaches the disk, and takes its own name in one step.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfl_adapt.adapter.storage import encode_safetensors
from mfl_adapt.errors import CheckpointError, DataError, StorageError
from mfl_adapt.files import find_inside, read_json, write_through

log = logging.getLogger(__name__)

SCHEMA = 1
SUMS, PLAIN, TENSORS = "SHA256SUMS", "state.json", "state.safetensors"
_FOLDER = "checkpoints"
_NAME = re.compile(r"step-(\d+)")
_MOST_SUMS = 1 << 20
# Beside the weights there are a passport, a card and the list of hashes.
_SLACK = 1_000_000


class State(NamedTuple):
    """What training needs to go on.

    Attributes:
        tensors: By name.
        plain: Everything else, as JSON values.
    """

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]


class Checkpoint(NamedTuple):
    """A checkpoint that was read whole and verified.

    Attributes:
        path: Its folder.
        step: Optimizer steps done.
        state: What training needs to go on.
    """

    path: Path
    step: int
    state: State


def path_of(run: Path, step: int) -> Path:
    """Return the folder of a run's checkpoint of a step."""
    return run / _FOLDER / f"step-{step}"


def write_checkpoint(run: Path, step: int, save: Callable[[Path], object], state: State) -> Path:
    """Write a checkpoint, or replace that of the same step.

    Args:
        run: The run folder.
        step: Optimizer steps done.
        save: Writes the adapter into a folder that it makes.
        state: What training needs to go on.

    Raises:
        StorageError: If it cannot be written; what was there before is untouched.
    """
    target = path_of(run, step)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    plain = {"schema": SCHEMA, "step": step} | dict(state.plain)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save(partial)
        write_through(partial / TENSORS, encode_safetensors(state.tensors, {}))
        write_through(partial / PLAIN, (json.dumps(plain, indent=1) + "\n").encode())
        write_through(partial / SUMS, _sums(partial).encode())
        _sync(partial)
        _remove(target)
        partial.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise StorageError(
            f"{target}: expected to write a checkpoint, got {_reason(error)}. Whatever was "
            "written before is untouched: make room, and go on with "
            f"mfl-adapt train --resume {run}."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def read_newest(run: Path) -> Checkpoint | None:
    """Return the newest checkpoint that verifies; each that does not is named in a warning.

    Args:
        run: The run folder.

    Returns:
        None if there are no checkpoints at all, as in a run that was killed at its start.

    Raises:
        CheckpointError: If there are checkpoints and all are damaged.
    """
    found = find_checkpoints(run)
    for path in found:
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            log.warning("resume: %s The one before it is taken.", error)
    if found:
        raise CheckpointError(
            f"{run / _FOLDER}: expected a checkpoint that verifies, got {len(found)} damaged. "
            "Begin a new run."
        )
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Verify a checkpoint and read what training needs to go on.

    Raises:
        CheckpointError: If a file is missing, cut off or changed, or the format is another one.
    """
    verify(path)
    try:
        plain = read_json(path / PLAIN)
        with safe_open(path / TENSORS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (DataError, SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected a checkpoint, got {error}") from error
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        found = plain.get("schema") if isinstance(plain, dict) else None
        raise CheckpointError(
            f"{path / PLAIN}: expected schema {SCHEMA}, got {found!r}. Go on with the version of "
            "mfl-adapt that wrote it."
        )
    return Checkpoint(path, int(plain["step"]), State(tensors, plain))


def verify(path: Path) -> None:
    """Hold every file of a checkpoint against its hash.

    Raises:
        CheckpointError: Naming the first file that is missing, cut off or changed.
    """
    for name, wanted in _read_sums(path).items():
        file = path / name
        try:
            found = _hash(file)
        except OSError as error:
            raise CheckpointError(
                f"{file}: expected a file of a checkpoint, got {_reason(error)}."
            ) from error
        if found != wanted:
            raise CheckpointError(
                f"{file}: expected SHA-256 {wanted[:16]}..., got {found[:16]}...: it is damaged."
            )


def find_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoint folders of a run, sound or not, the newest first."""
    folder = run / _FOLDER
    found = folder.iterdir() if folder.is_dir() else ()
    named = {path: _NAME.fullmatch(path.name) for path in found}
    steps = {path: int(match[1]) for path, match in named.items() if match}
    return sorted(steps, key=lambda path: -steps[path])


def rotate(run: Path, *, keep: int, best: int | None) -> None:
    """Delete checkpoints but the newest ones and the best.

    Args:
        run: The run folder.
        keep: How many of the newest stay.
        best: Step of the best one, which stays too; None if that is not known.
    """
    for path in find_checkpoints(run)[keep:]:
        if best is None or path != path_of(run, best):
            with suppress(OSError):  # what is left over is deleted the next time
                _remove(path)


def drop_leftovers(run: Path) -> None:
    """Delete what a process that was killed had half written or half deleted."""
    for pattern in (".*.partial", ".*.old"):
        for path in list(run.rglob(pattern)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def check_space(run: Path, size: int, *, count: int = 1) -> None:
    """Raise unless there is room for checkpoints.

    Args:
        run: The run folder.
        size: Bytes of the tensors of one.
        count: How many.

    Raises:
        StorageError: Saying how much is free and how much it takes.
    """
    free, needed = shutil.disk_usage(run).free, count * (size + _SLACK)
    if free < needed:
        what = "a checkpoint" if count == 1 else f"{count} checkpoints"
        raise StorageError(
            f"{run}: expected room for {what} of {_megabytes(needed)}, got {_megabytes(free)} "
            "free. Make room, or choose another place with --set output=FOLDER."
        )


def _read_sums(path: Path) -> dict[str, str]:
    """Read the list of hashes.

    Raises:
        CheckpointError: If there is none, or it is cut off or changed.
    """
    file = path / SUMS
    try:
        text = file.read_bytes()[:_MOST_SUMS].decode()
        rows = [re.fullmatch(r"([0-9a-f]{64})  (\S+)", line) for line in text.splitlines()]
        sums = {row[2]: row[1] for row in rows if row}
        for name in sums:
            find_inside(path, name)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: expected the hashes of a checkpoint, got {_reason(error)}."
        ) from error
    if len(sums) != len(rows) or not {PLAIN, TENSORS} <= sums.keys() or not text.endswith("\n"):
        raise CheckpointError(
            f"{file}: expected the hashes of a checkpoint, got a list that is cut off or changed."
        )
    return sums


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{_hash(path)}  {path.name}\n" for path in files)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    """Delete a folder so that no moment shows half of it under its own name."""
    if path.exists():
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        path.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    # What wrote the adapter names the hidden folder, which would tell nobody anything.
    first = error.__cause__ if isinstance(error, StorageError) and error.__cause__ else error
    return getattr(first, "strerror", None) or str(first)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
