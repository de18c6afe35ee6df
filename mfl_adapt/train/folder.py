"""The folder that a run writes: its settings, its log, its pictures, its adapter.

runs/<name>/ holds ``config.yaml``, ``environment.json``, ``doctor.json``, ``metrics.jsonl``,
``evaluation.json``, ``samples/``, ``checkpoints/step-N/`` and ``adapter/``.
"""

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mfl_adapt.errors import StorageError
from mfl_adapt.files import write_atomically

PACKAGES = (
    *("mfl-adapt", "torch", "peft", "accelerate", "diffusers", "transformers"),
    *("numpy", "numba", "safetensors", "gsplat"),
)


def environment() -> dict[str, Any]:
    """Return what a later reader needs to know about the machine; no names, no paths."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in PACKAGES},
    }


class RunFolder:
    """A new folder under ``runs``; an earlier run is never written over.

    Attributes:
        path: The folder itself.
    """

    def __init__(self, root: Path, name: str) -> None:
        """Make ``root/name``, or ``root/name-2`` and so on if that is taken.

        Raises:
            StorageError: If the folder cannot be made.
        """
        self.path = root / name
        number = 1
        while True:
            try:
                self.path.mkdir(parents=True)
                return
            except FileExistsError:
                number += 1
                self.path = root / f"{name}-{number}"
            except OSError as error:
                raise StorageError(
                    f"{self.path}: expected to make a folder, got {error.strerror}. "
                    "Choose another place with --set output=FOLDER."
                ) from error

    def write_text(self, name: str, text: str) -> None:
        """Write one text file of the run, whole or not at all."""
        write_atomically(self.path / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write one JSON file of the run, whole or not at all."""
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``.

        Raises:
            StorageError: If the line cannot be written.
        """
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise StorageError(
                f"{path}: expected to add a line, got {error.strerror}. Check the free space."
            ) from error
