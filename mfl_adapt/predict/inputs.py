"""What a user may hand to ``predict``: pictures, folders of pictures, and videos."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.predict.folder import safe_name, unique_names
from mfl_adapt.predict.picture import RawPicture, read_picture
from mfl_adapt.predict.videos import VIDEOS, hash_file, hash_video, open_video

log = logging.getLogger(__name__)

PICTURES = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to predict.

    Attributes:
        name: Folder of its result, relative to that of all; ``/`` below a sequence.
        path: Its file.
        frame: Index of the frame where the file is a video.
    """

    name: str
    path: Path
    frame: int | None = None

    def read(self) -> RawPicture:
        """Decode it.

        Raises:
            DataError: If it cannot be used.
        """
        if self.frame is None:
            return read_picture(self.path)
        rgb = open_video(self.path).frame(self.frame)
        return RawPicture(rgb, None, np.eye(3), self.path, self.frame)

    def digest(self) -> str:
        """SHA-256 of the file, with the index of the frame."""
        if self.frame is None:
            return hash_file(self.path)
        return f"{hash_video(self.path)}#{self.frame}"


@dataclass(frozen=True, slots=True)
class Sequence4D:
    """Items that follow one another in time.

    Attributes:
        name: Folder of all its results.
        fps: Frames per second of what is predicted.
        items: In order of time.
    """

    name: str
    fps: float
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that was asked for.

    Attributes:
        pictures: Single pictures.
        sequences: Videos, and folders that are to be played.
    """

    pictures: tuple[Item, ...]
    sequences: tuple[Sequence4D, ...]


def find_inputs(
    paths: Sequence[Path], *, every: int = 1, limit: int | None = None, fps: float | None = None
) -> Inputs:
    """List the pictures behind paths; only videos are opened.

    Args:
        paths: Pictures, folders that hold some, and videos.
        every: Of a video, take every so-manieth frame.
        limit: Of a video, take no more than so many frames.
        fps: Play a folder's pictures as a sequence at this rate; None leaves them single.

    Raises:
        DataError: If a path does not exist, a folder holds no picture, or two results would have
            the same name.
    """
    pictures: list[Item] = []
    sequences: list[Sequence4D] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: expected a picture, folder or video, got no such path.")
        if path.is_dir():
            found = _in_folder(path)
            if fps is not None:
                name = safe_name(path.resolve().name)
                inner = tuple(Item(f"{name}/{one.name}", one.path) for one in found)
                sequences.append(Sequence4D(name, fps, inner))
            else:
                pictures.extend(found)
        elif path.suffix.lower() in VIDEOS:
            sequences.append(_video(path, every, limit, fps))
        else:
            pictures.append(Item(safe_name(path.stem), path))
    tops = [one.name for one in pictures] + [one.name for one in sequences]
    inner_names = [one.name for sequence in sequences for one in sequence.items]
    if (twice := unique_names(tops) or unique_names(inner_names)) is not None:
        raise DataError(
            f"predict: expected pictures of different names, got {twice!r} twice. Rename one, or "
            "predict them into different folders."
        )
    return Inputs(tuple(pictures), tuple(sequences))


def _in_folder(folder: Path) -> list[Item]:
    """The pictures of a folder, sorted by name.

    Raises:
        DataError: If there is none.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [path for path in files if path.suffix.lower() in PICTURES]
    if not found:
        raise DataError(
            f"{folder}: expected a folder that holds .png or .jpg pictures, got none among its "
            f"{len(files)} files. Sub-folders are not searched."
        )
    if len(found) < len(files):
        log.info("%s: %d files are no PNG or JPEG pictures", folder, len(files) - len(found))
    return [Item(safe_name(path.stem), path) for path in found]


def _video(path: Path, every: int, limit: int | None, fps: float | None) -> Sequence4D:
    video = open_video(path)
    name = safe_name(path.stem)
    frames = list(range(0, len(video), every))[:limit]
    items = tuple(Item(f"{name}/frame_{frame:06d}", path, frame) for frame in frames)
    return Sequence4D(name, fps or video.fps / every, items)
