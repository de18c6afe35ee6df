"""Which sessions and trials a path stands for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfl_adapt.errors import DataError

from .calibration import LARGEST_FILE
from .config import VideosConfig

_CALIBRATIONS = ("calibration.toml", "calibration/calibration.toml")
_VIDEOS = tuple(
    folder + name
    for folder in ("videos-raw/", "videos/", "")
    for name in ("{trial}-cam{camera}.*", "{camera}.*")
)
_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".wmv", ".webm")


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of videos that were recorded together.

    Attributes:
        id: Folder and trial, unique in the dataset.
        videos: Video by camera name.
        masks: Mask video by camera name; empty where there are none.
    """

    id: str
    videos: dict[str, Path]
    masks: dict[str, Path]


def can_read(path: Path) -> bool:
    """Whether the path is a session, a folder of such, or a calibration; never raises."""
    try:
        if path.is_file():
            return path.suffix == ".toml" and _is_calibration(path)
        names = (*_CALIBRATIONS, *(f"*/{name}" for name in _CALIBRATIONS))
        return any(_is_calibration(file) for name in names for file in path.glob(name))
    except (OSError, ValueError):
        return False


def _is_calibration(path: Path) -> bool:
    if path.stat().st_size > LARGEST_FILE:
        return False
    return "[cam_" in path.read_text(encoding="utf-8")


def find_sessions(config: VideosConfig, path: Path) -> list[tuple[Path, Path]]:
    """Folders of sessions with their calibrations, in the order of their sorted names.

    Args:
        config: The reader's settings.
        path: A session, a folder of sessions, or a calibration.

    Raises:
        DataError: If the path is missing or no calibration is found.
    """
    if not path.exists():
        raise DataError(f"{path}: expected an Anipose session, got no such path. Check data.path.")
    if path.is_file():
        inside = path.resolve().parent.name == "calibration"
        return _with_folders(config, path.resolve().parent.parent if inside else path.parent, path)
    names = (config.calibration,) if config.calibration else _CALIBRATIONS
    here = _calibration(path, names)
    if here:
        return _with_folders(config, path, here)
    found = [(folder, _calibration(folder, names)) for folder in _folders(path)]
    sessions = [(folder, calibration) for folder, calibration in found if calibration]
    # A session in a project takes the project's calibration, one folder up.
    above = _calibration(path.resolve().parent, names)
    if not sessions and above:
        return [(path, above)]
    if not sessions:
        raise DataError(
            f"{path}: expected {' or '.join(names)} in it, in its folders or one folder up, got "
            f"none. Point data.path at the session, or set the reader's calibration."
        )
    return sessions


def _with_folders(config: VideosConfig, path: Path, calibration: Path) -> list[tuple[Path, Path]]:
    """The folder itself where it has videos, else those of its folders that have."""
    if _has_videos(path, config):
        return [(path, calibration)]
    # Anipose keeps the videos of the board beside the calibration.
    board = calibration.resolve().parent
    folders = [folder for folder in _folders(path) if folder.resolve() != board]
    folders = [folder for folder in folders if _has_videos(folder, config)]
    return [(folder, calibration) for folder in folders or [path]]


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir())


def _calibration(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _has_videos(folder: Path, config: VideosConfig) -> bool:
    """Whether any file could be a video; names of cameras are not known yet."""
    patterns = (config.videos,) if config.videos else _VIDEOS
    return any(_candidates(folder, pattern) for pattern in patterns)


def find_trials(config: VideosConfig, folder: Path, cameras: Sequence[str]) -> list[Trial]:
    """Match videos and masks of a session to its cameras.

    Args:
        config: The reader's settings.
        folder: The session's folder.
        cameras: Names of the cameras, as the calibration has them.

    Returns:
        Trials in the order of their sorted names, each with a video of every camera.

    Raises:
        DataError: If there are no videos, or one or its mask is missing or found twice.
    """
    patterns = (config.videos,) if config.videos else _VIDEOS
    found: dict[str, dict[str, Path]] = {}
    for pattern in patterns:
        found = found or _match(folder, pattern, cameras)
    if not found:
        raise DataError(
            f"{folder}: expected videos of cameras {', '.join(cameras)} as "
            f"{' or '.join(patterns)}, got none. Set the reader's videos."
        )
    masks = _match(folder, config.masks, cameras) if config.masks else {}
    session = folder.resolve().name
    trials = []
    for name, videos in sorted(found.items()):
        _check_complete(folder, "video", name, videos, cameras)
        if config.masks:
            _check_complete(folder, "mask video", name, masks.get(name, {}), cameras)
        trial_id = "/".join(part for part in (session, name) if part)
        trials.append(Trial(trial_id, videos, masks.get(name, {})))
    return trials


def _match(folder: Path, pattern: str, cameras: Sequence[str]) -> dict[str, dict[str, Path]]:
    # Files by trial and camera; the trial is empty where the pattern has none.
    found: dict[str, dict[str, Path]] = {}
    for file in _candidates(folder, pattern):
        for camera in cameras:
            match = _expression(pattern, camera).fullmatch(file.relative_to(folder).as_posix())
            if not match:
                continue
            trial = found.setdefault(match.groupdict().get("trial", ""), {})
            if camera in trial:
                raise DataError(
                    f"{folder}: expected one file of camera {camera}, got {trial[camera].name} "
                    f"and {file.name}. Move one away, or set the reader's pattern."
                )
            trial[camera] = file
    return found


def _candidates(folder: Path, pattern: str) -> list[Path]:
    wild = re.sub(r"\{\w+\}", "*", pattern)
    files = (file for file in folder.glob(wild) if file.is_file())
    kinds = _SUFFIXES if pattern.endswith("*") else ()
    return sorted(file for file in files if not kinds or file.suffix.lower() in kinds)


def _expression(pattern: str, camera: str) -> re.Pattern[str]:
    parts, named = [], False
    for part in re.split(r"(\{camera\}|\{trial\}|\*)", pattern):
        if part == "{camera}":
            parts.append(re.escape(camera))
        elif part == "{trial}":
            parts.append("(?P=trial)" if named else "(?P<trial>[^/]+)")
            named = True
        else:
            parts.append("[^/]*" if part == "*" else re.escape(part))
    return re.compile("".join(parts))


def _check_complete(
    folder: Path, what: str, trial: str, files: dict[str, Path], cameras: Sequence[str]
) -> None:
    missing = [camera for camera in cameras if camera not in files]
    if missing:
        where = f"{folder}: trial {trial}" if trial else f"{folder}"
        raise DataError(
            f"{where}: expected a {what} of every camera, got none of {', '.join(missing)}. Add "
            f"it, or leave the camera out with the reader's cameras."
        )
