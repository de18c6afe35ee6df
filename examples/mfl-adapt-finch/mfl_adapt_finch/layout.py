"""How an aviary lies on the disk.

    aviary/
      aviary.toml                              frame rate, unit, up axis, perches
      calibration.csv                          one camera a row
      perches.csv                              where the ends of the perches are in the pictures
      sessions/2026-03-02/session.toml         which bird it was
      sessions/2026-03-02/cam036/frame_000120.png
      sessions/2026-03-02/cam036/mask_000120.png    the same size, white where the bird is

What the three files at the top mean is in ``calibration.py`` and ``aviary.py``.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfl_adapt.errors import DataError, did_you_mean
from mfl_adapt.files import read_bounded

AVIARY = "aviary.toml"
CALIBRATION = "calibration.csv"
MARKS = "perches.csv"
SESSIONS = "sessions"
SESSION = "session.toml"
_LARGEST = 10_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def can_read(path: Path) -> bool:
    """Whether a path is such an aviary; cheap, and never an exception."""
    try:
        files = (path / AVIARY, path / CALIBRATION)
        return all(file.is_file() for file in files) and (path / SESSIONS).is_dir()
    except OSError:
        return False


def frame_file(session: Path, camera: str, frame: str) -> Path:
    """Path of a picture; ``frame`` is its number as it is written, ``000120``."""
    return session / camera / f"frame_{frame}.png"


def mask_file(session: Path, camera: str, frame: str) -> Path:
    """Path of the picture's mask."""
    return session / camera / f"mask_{frame}.png"


def read_text(file: Path, what: str) -> str:
    """Read one of the aviary's small files.

    Raises:
        DataError: If it is missing, too large, or no text.
    """
    try:
        return read_bounded(file, _LARGEST).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"{error!r:.80}"
        raise DataError(f"{file}: expected {what}, got {reason}. Check the path.") from error


def read_toml(file: Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        DataError: If it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(read_text(file, what))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = f"{error!s:.100}"
        raise DataError(f"{file}: expected TOML of {what}, got {reason}. Mend it.") from error


def is_name(text: str) -> bool:
    """Whether a text can be the name of a camera, session or perch: it may become a path's part."""
    return _NAME.fullmatch(text) is not None


def read_bird(session: Path) -> str:
    """Which bird a session shows.

    Raises:
        DataError: If nobody wrote it down.
    """
    file = session / SESSION
    bird = read_toml(file, "a session").get("bird")
    if not isinstance(bird, str) or not bird.strip():
        raise DataError(
            f"{file}: expected bird with its ring or name, got {bird!r:.60}. Without it birds "
            "cannot be held out; add it."
        )
    return bird.strip()


def find_sessions(folder: Path, wanted: Sequence[str] | None) -> list[Path]:
    """Folders of the sessions, by date, or as the settings name them.

    Raises:
        DataError: If there is none, a name is odd, or a session that is wanted does not exist.
    """
    place = folder / SESSIONS
    found = {one.name: one for one in _entries(place) if one.is_dir()}
    odd = next((name for name in found if not is_name(name)), None)
    if odd is not None or not found:
        got = "none" if odd is None else repr(odd)
        raise DataError(f"{place}: expected folders such as 2026-03-02, got {got}. Check the path.")
    for name in wanted or ():
        if name not in found:
            hint = did_you_mean(name, found)
            raise DataError(f"{place}: expected a session, got {name!r}. {hint}")
    return [found[name] for name in wanted or sorted(found)]


def find_frames(session: Path, cameras: Sequence[str], calibrated: Sequence[str]) -> list[str]:
    """Numbers of the frames that all cameras have, as they are written, in the order of time.

    Args:
        session: Folder of the session.
        cameras: Which are read.
        calibrated: All that the calibration has.

    Raises:
        DataError: If there is no frame, a camera lacks one, a name is odd, or there is a camera
            without calibration.
    """
    present = [one.name for one in _entries(session) if one.is_dir()]
    stranger = next((name for name in present if name not in calibrated), None)
    if stranger is not None:
        hint = did_you_mean(stranger, calibrated)
        raise DataError(
            f"{session / stranger}: expected a camera of {CALIBRATION}, got {stranger!r}. {hint} "
            "Calibrate it, or move its pictures elsewhere."
        )
    numbers = {camera: _numbers(session / camera) for camera in cameras}
    frames = sorted(set().union(*numbers.values()), key=lambda frame: (int(frame), frame))
    if not frames:
        example = frame_file(session, cameras[0], "000000")
        raise DataError(f"{session}: expected pictures such as {example}, got none. Export them.")
    for camera in cameras:
        missing = next((frame for frame in frames if frame not in numbers[camera]), None)
        if missing is not None:
            raise DataError(
                f"{frame_file(session, camera, missing)}: expected this frame, as another camera "
                "has it, got no such file. Export it, or delete the frame of all cameras."
            )
    return frames


def _numbers(folder: Path) -> set[str]:
    """Numbers of a camera's frames.

    Raises:
        DataError: If a picture is called otherwise.
    """
    names = [one.name for one in _entries(folder) if one.suffix.lower() == ".png"]
    for name in names:
        if not re.fullmatch(r"(frame|mask)_[0-9]{1,12}\.png", name):
            raise DataError(
                f"{folder / name}: expected a name such as frame_000120.png or mask_000120.png, "
                "got another. Rename it, or move it elsewhere."
            )
    return {name[6:-4] for name in names if name.startswith("frame_")}


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, without hidden files.

    Raises:
        DataError: If it cannot be listed.
    """
    try:
        return sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{folder}: expected a folder, got {reason}. Check the path.") from error
