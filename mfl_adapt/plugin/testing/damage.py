"""Copies of example data in which one file at a time is missing, empty or cut short."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

_MOST_BYTES = 64 * 2**20
_MOST_FILES = 4


def damaged_copies(data: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what was done and the copy; each is gone when the next comes.

    Files of different endings come first, as a second picture is read like the first. Data of
    more than 64 MB are not copied.

    Args:
        data: The example, a file or a folder; it stays as it is.
        folder: Empty place for the copies.
    """
    files = [data] if data.is_file() else sorted(one for one in data.rglob("*") if one.is_file())
    if sum(file.stat().st_size for file in files) > _MOST_BYTES:
        return
    for file in _different(files)[:_MOST_FILES]:
        relative = Path(file.name) if file == data else file.relative_to(data)
        for word, keep in (("missing", None), ("empty", 0.0), ("cut short", 0.5)):
            place = folder / "damaged"
            copy = place / data.name
            if data.is_file():
                place.mkdir()
                shutil.copyfile(data, copy)
            else:
                shutil.copytree(data, copy)
            victim = copy if data.is_file() else copy / relative
            content = victim.read_bytes()
            if keep is None:
                victim.unlink()
            else:
                victim.write_bytes(content[: int(keep * len(content))])
            yield f"with {relative} {word}", copy
            shutil.rmtree(place)


def _different(files: list[Path]) -> list[Path]:
    """One file of each ending, then the rest."""
    first = {file.suffix: file for file in reversed(files)}
    chosen = sorted(first.values())
    return chosen + [file for file in files if file not in chosen]
