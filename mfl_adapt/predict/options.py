"""Words of the command line, as settings; and folders, as lines to print."""

from __future__ import annotations

from pathlib import Path

from mfl_adapt.errors import ConfigError
from mfl_adapt.predict.folder import read_record
from mfl_adapt.predict.framed import Box, Framing, FramingSettings
from mfl_adapt.predict.functions import load_function

# What people look for first.
_SHOWN = ("viewer.html", "turntable.mp4", "sheet.png")


def read_framing(
    by: Framing | None, share: float | None, face_box: str | None, detector: str | None
) -> FramingSettings:
    """Join the options that say how a subject is placed.

    Raises:
        ConfigError: If they contradict one another or cannot be read.
        RangeError: If the share is none.
    """
    faces = face_box is not None or detector is not None
    return FramingSettings(
        by=by or ("face" if faces else "mask"),
        share=share,
        face_box=None if face_box is None else _read_box(face_box),
        detector=None if detector is None else load_function(detector, "--face-detector"),
    )


def _read_box(text: str) -> Box:
    """Read x,y,w,h.

    Raises:
        ConfigError: If it is anything else.
    """
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--face-box: expected four numbers x,y,w,h in pixels, got {text!r}."
        ) from error
    return x, y, w, h


def read_slots(text: str) -> tuple[int, ...] | None:
    """Read ``all``, or slots such as ``0,2,3,4``; None is all.

    Raises:
        ConfigError: If it is anything else.
    """
    if text == "all":
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--views: expected all, or slots from 0 such as 0,2,3,4, got {text!r}."
        ) from error


def read_views(text: str) -> tuple[int | str, ...] | None:
    """Read view names or indices; None where nothing was said."""
    parts = read_names(text)
    return tuple(int(part) if part.isdecimal() else part for part in parts) or None


def read_names(text: str) -> tuple[str, ...]:
    """Split words at commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def describe_folder(folder: Path) -> list[str]:
    """Lines that say where the files of a result are."""
    record = read_record(folder) or {"files": []}
    files = set(record["files"])
    gaussians = sorted(name for name in files if name.startswith("gaussians."))
    shown = [*gaussians, *(name for name in _SHOWN if name in files)]
    lines = [f"{name.partition('.')[0]:<10} {folder / name}" for name in shown]
    if "views/opencv_cameras.json" in files:
        lines.append(f"{'views':<10} {folder / 'views'}")
    return lines
