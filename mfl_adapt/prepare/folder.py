"""The folder that a dataset is made in: locked, marked with its plan, and renamed when whole.

A dataset ``mice`` is made in ``.mice.partial`` beside it. Nobody ever sees half a dataset, and a
run that was killed at any moment continues there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfl_adapt.data.writer import write_json
from mfl_adapt.errors import StorageError
from mfl_adapt.prepare.work import PARTS, Made, read_mark

PLAN = "prepared.json"
"""File that says what a dataset was made from; it stays in the dataset."""


def partial_folder(out: Path) -> Path:
    """Return the folder that a dataset is made in."""
    return out.with_name(f".{out.name}.partial")


def is_finished(out: Path, plan: str) -> bool:
    """Tell whether a dataset is there already; one of another plan must not be touched.

    Args:
        out: Folder of the finished dataset.
        plan: Hash of what it shall be made from.

    Raises:
        StorageError: If the folder is in use by anything else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if _read(out / PLAN).get("plan") == plan and (out / "dataset.json").is_file():
        return True
    raise StorageError(
        f"{out}: expected a new or empty folder, got one in use. Choose another name or move it "
        f"away; datasets are never overwritten."
    )


@contextmanager
def open_partial(folder: Path, plan: str, content: Mapping[str, Any]) -> Iterator[None]:
    """Hold the folder that a dataset is made in, alone, and only for one plan.

    Args:
        folder: The folder; made where missing.
        plan: Hash of what the dataset is made from.
        content: The same in words.

    Raises:
        StorageError: If the folder cannot be written, another process is at work in it, or it
            was begun with another plan.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to make this folder, got {error.strerror or error}. Check "
            f"permissions and the path given with -o."
        ) from error
    try:
        _lock(handle, folder)
        _claim(folder, plan, content)
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        yield
    finally:
        os.close(handle)  # which also gives up the lock, as the death of the process does


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(
            f"{folder}: expected to work here alone, got another process that makes the same "
            f"dataset. Wait for it, or choose another name."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{folder}: expected a file system that can lock a folder, got "
            f"{error.strerror or error}. Choose a folder elsewhere."
        ) from error


def _claim(folder: Path, plan: str, content: Mapping[str, Any]) -> None:
    before = _read(folder / PLAN)
    # What failed before its first sample is nothing to continue.
    if not before or not find_finished(folder, str(before.get("plan"))):
        write_json(folder / PLAN, {"plan": plan, **content})
    elif before.get("plan") != plan:
        raise StorageError(
            f"{folder}: expected to continue what was begun here, got other settings or data: "
            f"{_first_difference(before, json.loads(json.dumps(content)))}. Delete that folder, "
            f"or choose another name with -o."
        )


def find_finished(folder: Path, plan: str, *, clean: bool = False) -> dict[int, Made]:
    """Return the samples that lie in a folder, by their number.

    Args:
        folder: A dataset, or the folder that one is made in.
        plan: What it is made from.
        clean: Delete whatever bears no mark of this plan: a crash of the machine has cut it off.
    """
    found: dict[int, Made] = {}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        mark = read_mark(here)
        made = _read_made(here, folder, mark) if mark.get("plan") == plan else None
        if made is not None:
            found[made.index] = made
            continue
        entries = [each for each in here.iterdir() if each.name != PARTS]
        if here == folder or all(each.is_dir() for each in entries):
            waiting += [each for each in entries if each.is_dir()]
        elif clean:
            shutil.rmtree(here)
    return found


def _read_made(folder: Path, root: Path, mark: Mapping[str, Any]) -> Made | None:
    labels = _read(folder / "opencv_cameras.json")
    if not labels:
        return None
    return Made(
        index=mark["index"],
        id=folder.relative_to(root).as_posix(),
        session=labels["session"],
        animal=labels["animal"],
        time_s=labels["time_s"],
        digest=mark["digest"],
        extent=mark.get("extent"),
    )


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; empty where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _first_difference(before: Any, now: Any, key: str = "") -> str:
    """Name the first value in which two descriptions differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**now, **before}:
            if name != "plan" and before.get(name) != now.get(name):
                inner = f"{key}.{name}".lstrip(".")
                return _first_difference(before.get(name), now.get(name), inner)
    if isinstance(before, str) and len(before) == 64:
        return f"{key} has changed"
    return f"{key} was {json.dumps(before):.60}, now {json.dumps(now):.60}"


def publish(partial: Path, out: Path) -> None:
    """Give the finished dataset its name.

    Raises:
        StorageError: If it cannot be renamed.
    """
    shutil.rmtree(partial / PARTS, ignore_errors=True)
    try:
        partial.replace(out)
    except OSError as error:
        raise StorageError(
            f"{out}: expected to move the finished dataset here from {partial}, got "
            f"{error.strerror or error}. Move it yourself, or run the same command again."
        ) from error
