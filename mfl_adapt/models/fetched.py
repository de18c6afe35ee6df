"""Where fetched weights lie on this machine, and what was recorded of them; free of torch.

    $MFL_HOME/                          ~/.cache/mfl_adapt where the variable is not set
        licences.json                   which licences were accepted, and when
        bases/facelift.gslrm/
            fetched.json                repository, commit, size and SHA-256 of every file
            weights/                    the files, named as in the repository
        bases/facelift.gslrm.partial/   a download that is not finished

A base whose checkpoint is not named takes it from here, and refuses files that have changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.errors import CheckpointError
from mfl_adapt.files import find_inside, write_atomically

HOME_VARIABLE = "MFL_HOME"
RECORD = "fetched.json"
WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file of a repository.

    Attributes:
        size: In bytes.
        sha256: In hexadecimal.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Weights that were fetched, every file checked.

    Attributes:
        repository: On the model hub, ``owner/name``.
        commit: The one that all files come from, 40 hexadecimal digits.
        revision: What was asked for; a branch may have moved on since.
        licence: Name of the licence that was accepted.
        entry: What a base is given as its checkpoint, relative to the files' folder; ``.`` is the
            folder itself.
        files: By path relative to that folder, ``/`` between its parts.
    """

    repository: str
    commit: str
    revision: str
    licence: str
    entry: str
    files: Mapping[str, FetchedFile]


def find_home() -> Path:
    """Return the folder for fetched files; it need not exist."""
    named = os.environ.get(HOME_VARIABLE)
    folder = Path(named) if named else Path("~/.cache/mfl_adapt")
    return folder.expanduser().absolute()


def find_folder(id: str) -> Path:
    """Return the folder of a fetched base; it need not exist."""
    return find_home() / "bases" / id


def read_fetched(id: str) -> Fetched | None:
    """Return what was recorded of a fetched base, or None if it was not fetched.

    Raises:
        CheckpointError: If the record is damaged.
    """
    path = find_folder(id) / RECORD
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected the record of a download, got a damaged file "
            f"({type(error).__name__}: {error}). Delete {path.parent} and fetch {id} again."
        ) from error


def write_fetched(fetched: Fetched, folder: Path) -> None:
    """Record what lies in a folder.

    Raises:
        StorageError: If the record cannot be written.
    """
    text = json.dumps(asdict(fetched), indent=2, sort_keys=True) + "\n"
    write_atomically(folder / RECORD, text.encode())


def locate(id: str) -> tuple[Path, Fetched]:
    """Return the checkpoint of a fetched base, and what was recorded of it.

    Raises:
        CheckpointError: If it was not fetched, or not all of it is there.
    """
    fetched, folder = read_fetched(id), find_folder(id)
    if fetched is None:
        raise CheckpointError(
            f"{id}: expected fetched weights at {folder}, found none. Run `mfl-adapt base fetch "
            f"{id}`, or name a checkpoint of your own."
        )
    missing = [name for name in fetched.files if not (folder / WEIGHTS / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder / WEIGHTS / missing[0]}: expected a fetched file, found nothing there. Run "
            f"`mfl-adapt base fetch {id}` to complete it."
        )
    return folder / WEIGHTS / fetched.entry, fetched


def _parse(content: dict[str, Any]) -> Fetched:
    """Read a record.

    Raises:
        LookupError: If it names no file of its own as the checkpoint.
        TypeError: If a value is of another kind.
        ValueError: If a file lies elsewhere or has a negative size.
    """
    files = {
        name: FetchedFile(file["size"], file["sha256"])
        for name, file in content.pop("files").items()
    }
    fetched = Fetched(**content, files=files)
    texts = [value for key, value in content.items()] + [one.sha256 for one in files.values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("something else than a text")
    for name, file in files.items():
        find_inside(Path(), name)
        if type(file.size) is not int or file.size < 0:
            raise ValueError(f"{file.size!r:.40} bytes in {name}")
    if fetched.entry != "." and fetched.entry not in files:
        raise LookupError(fetched.entry)
    return fetched
