"""The entries of ``frames``: pictures, masks, poses and times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.checks import to_numbers
from mfl_adapt.errors import DataError

from .lenses import Keys

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_SUFFIXES = (".png", ".jpg", ".jpeg")
# From OpenGL's camera axes (x right, y up, z back) to OpenCV's (x right, y down, z forward).
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One entry of ``frames``.

    Attributes:
        keys: Its keys and those of the file, for the lens.
        picture: Path of the picture.
        mask: Path of the mask, None where it names none.
        c2w: Camera to world, [4, 4] float64, OpenCV axes.
        time: As in the file, None where it has none.
    """

    keys: Keys
    picture: Path
    mask: Path | None
    c2w: "Float"
    time: float | None


def read_frames(file: Path, content: Any) -> list[Frame]:
    """Check and convert all frames of a camera file.

    Args:
        file: The file, for messages and for the pictures' folder.
        content: What it holds.

    Returns:
        Frames in file order.

    Raises:
        DataError: If a key is missing, a pose is no matrix of finite numbers, a picture does not
            exist or is named twice, or only some frames have a time.
    """
    entries = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: expected a list of cameras under 'frames', got none.")
    frames = [_read_frame(file, index, entry, content) for index, entry in enumerate(entries)]
    _check_pictures(file, frames)
    timed = sum(frame.time is not None for frame in frames)
    if timed not in (0, len(frames)):
        raise DataError(
            f"{file}: expected a time in all frames or in none, got {timed} of {len(frames)}. "
            f"Add the missing ones, or drop the frames."
        )
    return frames


def _read_frame(file: Path, index: int, entry: Any, content: Mapping[str, Any]) -> Frame:
    where = f"{file}: frames[{index}]"
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected a mapping, got {entry!r:.40}.")
    own = Keys(where, entry, {})
    mask = None if own.get("mask_path") is None else file.parent / _text(own, "mask_path")
    return Frame(
        keys=Keys(where, entry, content),
        picture=_find_picture(where, file.parent, _text(own, "file_path")),
        mask=mask,
        c2w=_pose(where, entry.get("transform_matrix")),
        time=own.number("time"),
    )


def _text(keys: Keys, key: str) -> str:
    value = keys.get(key)
    if not isinstance(value, str) or not value:
        raise DataError(f"{keys.where}: expected a path under {key!r}, got {value!r:.60}. Add it.")
    return value


def _find_picture(where: str, folder: Path, relative: str) -> Path:
    # The picture as named, or with an ending added, as Blender's exporters leave it out.
    candidates = [folder / relative, *(folder / f"{relative}{suffix}" for suffix in _SUFFIXES)]
    for path in candidates:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name too long, or with a null, is no path
            break
    raise DataError(
        f"{where}.file_path: expected a picture, got {str(folder / relative)[:300]}, which does "
        f"not exist, nor with {', '.join(_SUFFIXES)}. Paths are relative to the camera file."
    )


def _pose(where: str, rows: Any) -> "Float":
    try:
        matrix = to_numbers(rows, (None, 4))
    except ValueError:
        matrix = np.empty(0)
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if matrix.shape != (4, 4):
        raise DataError(
            f"{where}.transform_matrix: expected 3 or 4 rows of 4 numbers, got {rows!r:.60}."
        )
    if not np.isfinite(matrix).all():
        raise DataError(
            f"{where}.transform_matrix: expected finite numbers, got NaN or an infinity. The "
            f"camera was not solved; drop the frame or calibrate again."
        )
    return matrix @ _FLIP


def _check_pictures(file: Path, frames: Sequence[Frame]) -> None:
    first: dict[Path, int] = {}
    for index, frame in enumerate(frames):
        if frame.picture in first:
            raise DataError(
                f"{file}: expected every picture once, got {frame.picture.name} in frames"
                f"[{first[frame.picture]}] and frames[{index}]. Each picture has one camera."
            )
        first[frame.picture] = index


def view_names(frames: Sequence[Frame], folder: Path) -> list[str]:
    """Short unique names of the views of one sample: what tells their paths apart.

    ``images/cam0/007.png`` and ``images/cam1/007.png`` become ``cam0`` and ``cam1``;
    ``train/r_0.png`` and ``train/r_1.png`` become ``r_0`` and ``r_1``.
    """
    parts = [_relative(frame.picture, folder).parts for frame in frames]
    lead = _common(parts)
    rests = [path[lead:] for path in parts]
    trail = _common([rest[::-1] for rest in rests])
    names = ["_".join(rest[: len(rest) - trail]) for rest in rests]
    if not all(names) or len(set(names)) < len(names):
        names = [path[-1] for path in parts]
    return names if len(set(names)) == len(names) else ["_".join(path) for path in parts]


def _relative(path: Path, folder: Path) -> PurePosixPath:
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    stem = inside.with_suffix("") if inside.suffix.lower() in _SUFFIXES else inside
    return PurePosixPath(*(part for part in stem.parts if part not in ("..", "/")))


def _common(parts: Sequence[tuple[str, ...]]) -> int:
    """How many leading parts all paths share."""
    count = 0
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count
