"""Files of a dataset in FaceLift's layout, looked at before any reader does.

These checks can mend what they find, since only one mending is possible.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mfl_adapt.checks import is_number
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.files import find_inside, read_json
from mfl_adapt.plugin import Facts, Finding, Fix

from .config import NoConfig

CAMERAS = "opencv_cameras.json"
_LONGEST_LIST = 10_000_000
_NEAR_PX = 2.0
"""How far a principal point may be from the middle of the picture that it belongs to."""


class Entry(NamedTuple):
    """A line of a list.

    Attributes:
        number: From 1.
        text: As it stands there.
        moved: Path that it should be, relative to the list; None if it is right or nobody knows.
        problem: What is wrong with it; empty if nothing is.
    """

    number: int
    text: str
    moved: str | None = None
    problem: str = ""


class Lists:
    """Law MFL052: entries of list files lead to samples, each once.

    Lists that came from another machine name folders of that machine. Where a folder of the same
    name lies beside the list, that one is meant.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: a folder is there or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the list, or at all lists of the folder."""
        for file in _list_files(_source(facts)):
            wrong = [entry for entry in _entries(file) if entry.problem]
            if not wrong:
                continue
            first, movable = wrong[0], sum(entry.moved is not None for entry in wrong)
            yield Finding(
                code="MFL052",
                severity="law",
                where=f"{file}:{first.number}",
                value=f"{first.text[:200]}, {first.problem} ({len(wrong)} such)",
                expected="folders of samples, each once, relative to the list",
                remedy=f"Run mfl-adapt doctor with --fix, which mends {movable} of them."
                if movable
                else "Write the list again; entries are relative to it.",
                excess=float(len(wrong)),
            )

    def fixes(self, facts: Facts) -> Iterator[Fix]:
        """Make entries relative whose folder lies beside the list, and take out repetitions."""
        for file in _list_files(_source(facts)):
            entries = _entries(file)
            changed = [entry for entry in entries if entry.moved is not None]
            if changed:
                lines = [e.text if e.moved is None else e.moved for e in entries]
                text = "".join(f"{line}\n" for line in lines if line)
                yield Fix(file, text, f"{len(changed)} of {len(entries)} entries mended")


class Sizes:
    """Law MFL064: ``w`` and ``h`` of a camera file are those of the picture.

    Whoever resizes pictures and changes ``fx`` to ``cy`` with them, but not ``w`` and ``h``, leaves
    cameras that are scaled a second time. It shows where the principal point is in the middle of
    the picture and far from that of ``w`` x ``h``.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: a picture has one size."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every camera file."""
        for file in _camera_files(_source(facts)):
            wrong = list(_wrong_sizes(file, _read(file)))
            if wrong:
                index, (width, height), frame = wrong[0]
                yield Finding(
                    code="MFL064",
                    severity="law",
                    where=f"{file}: frames[{index}]",
                    value=f"w x h = {frame['w']} x {frame['h']} ({len(wrong)} such)",
                    expected=f"{width} x {height}, the picture's size, whose middle is at cx, cy",
                    remedy="Run mfl-adapt doctor with --fix, which writes the pictures' sizes.",
                    excess=max(frame["w"] / width, width / frame["w"]),
                )

    def fixes(self, facts: Facts) -> Iterator[Fix]:
        """Write the pictures' sizes; samples with a recorded history are left alone."""
        for file in _camera_files(_source(facts)):
            content = _read(file)
            wrong = list(_wrong_sizes(file, content))
            for _, (width, height), frame in wrong:
                frame["w"], frame["h"] = width, height
            if wrong and not (file.parent / "provenance.json").exists():
                text = json.dumps(content, indent=2) + "\n"
                yield Fix(file, text, f"w and h of {len(wrong)} cameras")


def _source(facts: Facts) -> Path:
    """What the user named.

    Raises:
        ConfigError: If nothing.
    """
    if facts.source is None:
        raise ConfigError("facelift_checks: expected facts with a source, got none.")
    return facts.source


def _list_files(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(source.glob("data_*.txt"))
    small = source.is_file() and source.suffix == ".txt"
    return [source] if small and source.stat().st_size <= _LONGEST_LIST else []


def _entries(file: Path) -> list[Entry]:
    """Judge all lines of a list; none if it is no text."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    seen: set[Path] = set()
    return [
        _judge(file, number, line.strip(), seen)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _judge(file: Path, number: int, text: str, seen: set[Path]) -> Entry:
    folder = file.parent / text
    if _is_sample(folder):
        return _once(Entry(number, text), folder, seen)
    # A name alone, so that nothing outside the list's folder is ever meant.
    name = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    beside = file.parent / name if name not in {"", ".", ".."} else file
    if name != text and _is_sample(beside):
        found = _once(Entry(number, text), beside, seen)
        return found if found.problem else Entry(number, text, name, "a path of another machine")
    return Entry(number, text, None, "which is no folder")


def _once(entry: Entry, folder: Path, seen: set[Path]) -> Entry:
    if folder.resolve() in seen:
        return entry._replace(moved="", problem="listed before")
    seen.add(folder.resolve())
    return entry


def _is_sample(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _camera_files(source: Path) -> list[Path]:
    if source.is_file():
        entries = _entries(source) if source in _list_files(source) else []
        files = [source.parent / entry.text / CAMERAS for entry in entries if not entry.problem]
        return [file for file in files if file.is_file()]
    if (source / CAMERAS).is_file():
        return [source / CAMERAS]
    return sorted(source.glob(f"*/{CAMERAS}"))


def _read(file: Path) -> Any:
    """What a camera file holds; the reader says what is wrong with one that cannot be read."""
    try:
        return read_json(file)
    except DataError:
        return None


def _wrong_sizes(file: Path, content: Any) -> Iterator[tuple[int, tuple[int, int], dict[str, Any]]]:
    """Yield index, picture's width and height, and entry of cameras of another size."""
    frames = content.get("frames") if isinstance(content, dict) else None
    for index, frame in enumerate(frames if isinstance(frames, list) else []):
        if not isinstance(frame, dict):
            continue
        stated = [frame.get(key) for key in ("w", "h", "cx", "cy")]
        if not all(is_number(value) for value in stated):
            continue
        picture = _picture_size(file.parent, frame.get("file_path"))
        if picture and _contradicts(stated, picture):
            yield index, picture, frame


def _contradicts(stated: list[Any], picture: tuple[int, int]) -> bool:
    width, height, cx, cy = stated
    off = max(abs(cx - picture[0] / 2), abs(cy - picture[1] / 2))
    stated_off = max(abs(cx - width / 2), abs(cy - height / 2))
    return width > 0 and off <= _NEAR_PX < stated_off and stated_off > 0.1 * max(picture)


def _picture_size(folder: Path, name: Any) -> tuple[int, int] | None:
    """Width and height from the header of a PNG; None if it cannot be read."""
    try:
        if not isinstance(name, str):
            return None
        with find_inside(folder, name).open("rb") as stream:
            header = stream.read(24)
    except (OSError, ValueError):
        return None
    if len(header) < 24 or not header.startswith(b"\x89PNG") or header[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", header[16:])
    return int(width), int(height)
