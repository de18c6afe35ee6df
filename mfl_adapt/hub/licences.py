"""Which licences the user accepted, and when: asked for once per repository and licence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from mfl_adapt.errors import StorageError
from mfl_adapt.files import write_atomically
from mfl_adapt.models.fetched import find_home
from mfl_adapt.plugin import Licence


def licence_file() -> Path:
    """Return the file in which acceptances are recorded; it need not exist."""
    return find_home() / "licences.json"


def when_accepted(repository: str, licence: Licence) -> str | None:
    """Return the day and time at which a licence was accepted, or None.

    Raises:
        StorageError: If the record is damaged.
    """
    return _read().get(_key(repository, licence))


def accept(repository: str, licence: Licence) -> str:
    """Record that the user accepts a licence, and return when they first did.

    Raises:
        StorageError: If the record is damaged or cannot be written.
    """
    record = _read()
    when = record.setdefault(
        _key(repository, licence), datetime.now(UTC).isoformat(timespec="seconds")
    )
    write_atomically(licence_file(), (json.dumps(record, indent=2) + "\n").encode())
    return when


def _key(repository: str, licence: Licence) -> str:
    return f"{repository}: {licence.name}"


def _read() -> dict[str, str]:
    """Read the record.

    Raises:
        StorageError: If it is damaged.
    """
    path = licence_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path}: expected the record of accepted licences, got a damaged file ({error}). "
            "Delete it and accept them again."
        ) from error
    if not isinstance(content, dict):
        raise StorageError(f"{path}: expected names with times, got {content!r}. Delete it.")
    return {str(name): str(when) for name, when in content.items()}
