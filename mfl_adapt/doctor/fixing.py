"""Mends what checks can mend safely; every file that is changed stays beside the new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mfl_adapt.doctor.examine import ActiveCheck
from mfl_adapt.errors import StorageError
from mfl_adapt.files import read_bounded, write_atomically
from mfl_adapt.plugin import Facts, Fix, FixingCheck

_LARGEST = 2**28


class Mending(NamedTuple):
    """A fix and the check that offers it.

    Attributes:
        code: Of the finding that it mends.
        fix: The change.
    """

    code: str
    fix: Fix


def find_fixes(checks: Sequence[ActiveCheck], facts: Facts) -> list[Mending]:
    """List what the checks would change; writes nothing. Only the first of a file counts."""
    found: dict[Path, Mending] = {}
    for check in checks:
        if isinstance(check.run, FixingCheck) and getattr(facts, check.subject) is not None:
            for fix in check.run.fixes(facts):
                found.setdefault(fix.file.resolve(), Mending(check.code, fix))
    return list(found.values())


def apply(fix: Fix) -> Path:
    """Keep a copy of the file and write the new one, whole or not at all.

    Returns:
        The copy: the same name with ``.bak`` after it, or ``.bak2`` and so on.

    Raises:
        StorageError: If the old file cannot be copied, or the new one not be written.
    """
    try:
        before = read_bounded(fix.file, _LARGEST)
        backup = _keep(fix.file, before)
    except OSError as error:
        raise StorageError(
            f"{fix.file}: expected to keep a copy before changing it, got {error.strerror}. "
            "Check the folder's permissions and the free space."
        ) from error
    write_atomically(fix.file, fix.content.encode())
    return backup


def _keep(file: Path, content: bytes) -> Path:
    number = 1
    while True:
        backup = file.with_name(f"{file.name}.bak{number if number > 1 else ''}")
        try:
            with backup.open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            number += 1
        else:
            return backup
