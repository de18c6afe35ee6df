"""The folder that a run writes: its settings, its log, its pictures, its adapter.

runs/<name>/ holds ``config.yaml``, ``origins.json``, ``identity.json``, ``environment.json``,
``doctor.json``,
``metrics.jsonl``, ``evaluation.json``, ``samples/``, ``checkpoints/step-N/`` and ``adapter/``;
where guards found something, also ``guards.jsonl`` and ``guards/``.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mfl_adapt.errors import StorageError
from mfl_adapt.files import write_atomically, write_through
from mfl_adapt.train.checkpoints import drop_leftovers

METRICS, FINDINGS = "metrics.jsonl", "guards.jsonl"
_LOGS = {METRICS: "number", FINDINGS: "step"}
"""Files of one JSON object a line, with the key that holds the step."""
_PICTURE = re.compile(r"step-(\d+)\b.*\.png")


def check_output(output: Path) -> int:
    """Return the bytes that are free where runs are written; the folder need not be there yet.

    Raises:
        StorageError: If nobody could write there.
    """
    there = next((one for one in (output, *output.parents) if one.exists()), Path())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "may not be written" if there.is_dir() else "is no folder"
        raise StorageError(
            f"output: expected a folder that can be made and written, got {output}, as {there} "
            f"{reason}. Choose another place with --set output=FOLDER."
        )
    return shutil.disk_usage(there).free


class RunFolder:
    """A new folder under ``runs``; an earlier run is never written over.

    Attributes:
        path: The folder itself.
    """

    def __init__(self, root: Path, name: str, files: Mapping[str, str] | None = None) -> None:
        """Make ``root/name``, or ``root/name-2`` and so on if that is taken.

        Args:
            root: Folder of all runs.
            name: Of this one.
            files: Texts by file name. The folder appears with them in it, so that a run that is
                killed at any moment can be resumed.

        Raises:
            StorageError: If the folder cannot be made.
        """
        self.path = root / name
        partial = root / f".{name}.{uuid.uuid4().hex[:8]}.partial"
        try:
            partial.mkdir(parents=True)
            for file, text in (files or {}).items():
                write_through(partial / file, text.encode())
            self._take_name(partial, root, name)
        except OSError as error:
            raise StorageError(
                f"{self.path}: expected to make a folder, got {error.strerror}. "
                "Choose another place with --set output=FOLDER."
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Return the folder of a run that shall go on, without the leftovers of a sudden end."""
        folder = cls.__new__(cls)
        folder.path = path
        drop_leftovers(path)
        return folder

    @classmethod
    def of_another(cls, path: Path) -> Self:
        """Return the folder of a run that another process makes and writes."""
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    def _take_name(self, partial: Path, root: Path, name: str) -> None:
        """Give the new folder the first free name.

        Raises:
            OSError: If it cannot be renamed.
        """
        number = 1
        while self.path.exists():
            number += 1
            self.path = root / f"{name}-{number}"
        partial.rename(self.path)

    def write_text(self, name: str, text: str) -> None:
        """Write one text file of the run, whole or not at all."""
        write_atomically(self.path / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file of the run, whole or not at all."""
        self.write_text(name, to_text(value))

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``.

        Raises:
            StorageError: If the line cannot be written.
        """
        self._append(METRICS, row)

    def append_finding(self, row: Mapping[str, Any]) -> None:
        """Add one line to ``guards.jsonl``.

        Raises:
            StorageError: If the line cannot be written.
        """
        self._append(FINDINGS, row)

    def count_findings(self) -> int:
        """Return how often guards found something."""
        path = self.path / FINDINGS
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def settle(self) -> None:
        """Wait until all lines of the logs are on the disk."""
        for name in _LOGS:
            path = self.path / name
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Take back what was written after a step, to be written again.

        Lines that a sudden end cut off go as well.

        Args:
            step: Optimizer steps done.
        """
        for name, key in _LOGS.items():
            path = self.path / name
            if path.exists():
                lines = path.read_bytes().splitlines(keepends=True)
                kept = [line for line in lines if _step_of(line, key) <= step]
                write_atomically(path, b"".join(kept))
        for picture in [*self.path.glob("samples/*.png"), *self.path.glob("guards/*.png")]:
            match = _PICTURE.fullmatch(picture.name)
            if match and int(match[1]) > step:
                picture.unlink()

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        path = self.path / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise StorageError(
                f"{path}: expected to add a line, got {error.strerror}. Check the free space."
            ) from error


def to_text(value: Any) -> str:
    """Return JSON as the files of a run hold it."""
    return json.dumps(value, indent=2) + "\n"


def _step_of(line: bytes, key: str) -> float:
    """Step of a line of a log; beyond all others where the line was cut off."""
    try:
        row = json.loads(line)
    except ValueError:
        return float("inf")
    return float(row[key]) if line.endswith(b"\n") and isinstance(row, dict) else float("inf")
