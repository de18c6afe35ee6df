"""The cameras in ``opencv_cameras.json``, checked number by number."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras.limits import LARGEST_SIDE, check_limits
from mfl_adapt.cameras.projection import off_rotation, to_w2c
from mfl_adapt.checks import is_number, to_numbers
from mfl_adapt.errors import DataError
from mfl_adapt.files import find_inside, read_json
from mfl_adapt.types import Cameras, RawCamera

if TYPE_CHECKING:
    from mfl_adapt.types import Float

# Largest departure of a rotation from orthonormality; float32 files have about 1e-7.
RIGID = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One entry of ``frames``.

    Attributes:
        name: ``view_name`` where given, else the picture's file name without its ending.
        picture: Path of the picture.
        c2w: Camera to world, [4, 4] float64, OpenCV axes.
        fxfycxcy: Pixels of a picture of ``size``, [4] float64.
        size: (height, width) that the intrinsics refer to; None where the file has none.
    """

    name: str
    picture: Path
    c2w: "Float"
    fxfycxcy: "Float"
    size: tuple[int, int] | None


def load_cameras(file: Path) -> Cameras:
    """Read the cameras of a file alone, without their pictures.

    Args:
        file: ``opencv_cameras.json`` of a sample folder.

    Returns:
        V cameras in file order, float64.

    Raises:
        DataError: If the file cannot be read or breaks a rule, or the cameras have no picture
            size or not all the same.
    """
    frames = read_frames(file, read_json(file, holds="cameras"))
    sizes = {frame.size for frame in frames}
    size = sizes.pop()
    if sizes or size is None:
        raise DataError(
            f"{file}: expected one picture size, w and h, for all cameras, got several or none. "
            f"Add them, or split the file."
        )
    return Cameras(
        np.stack([frame.c2w for frame in frames]),
        np.stack([frame.fxfycxcy for frame in frames]),
        height=size[0],
        width=size[1],
    )


def read_frames(file: Path, content: Any) -> list[Frame]:
    """Check and convert all frames of a camera file.

    Args:
        file: The file, for messages and for the pictures' folder.
        content: What it holds.

    Returns:
        Frames in file order.

    Raises:
        DataError: If a key is missing, a number is not finite, a pose is not rigid, or two frames
            share a picture or a name.
    """
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(
            f"{file}: expected a list of cameras under 'frames', got none. Write one entry per "
            f"picture, or take the file of another sample as a pattern."
        )
    found = [_read_frame(file, index, entry) for index, entry in enumerate(frames)]
    _check_once(file, "file_path", [str(frame.picture) for frame in found])
    _check_once(file, "view name", [frame.name for frame in found])
    return found


def _read_frame(file: Path, index: int, entry: Any) -> Frame:
    where = f"{file}: frames[{index}]"
    if not isinstance(entry, dict):
        raise DataError(
            f"{where}: expected a mapping, got {_short(entry)}. Write file_path, w2c, fx, fy, cx "
            f"and cy of one camera."
        )
    relative = _required(where, entry, "file_path")
    if not isinstance(relative, str) or not relative:
        raise DataError(
            f"{where}.file_path: expected a path, got {_short(relative)}. Write that of the "
            f"picture, relative to this file."
        )
    name = entry.get("view_name", Path(relative).stem)
    if not isinstance(name, str):
        raise DataError(
            f"{where}.view_name: expected a name, got {_short(name)}. Write one in quotation "
            f"marks, or leave the key out."
        )
    frame = Frame(
        name=name,
        picture=_picture(where, file.parent, relative),
        c2w=_pose(where, _required(where, entry, "w2c")),
        fxfycxcy=np.array([_number(where, entry, key) for key in ("fx", "fy", "cx", "cy")]),
        size=_size(where, entry),
    )
    height, width = frame.size or (1, 1)
    check_limits(_raw(frame, height, width), where)
    return frame


def _raw(frame: Frame, height: int, width: int) -> RawCamera:
    fx, fy, cx, cy = (float(value) for value in frame.fxfycxcy)
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in frame.c2w)
    return RawCamera(rows, (fx, fy, cx, cy), height, width)


def _picture(where: str, folder: Path, relative: str) -> Path:
    try:
        return find_inside(folder, relative)
    except ValueError as error:
        raise DataError(
            f"{where}.file_path: {error}. Paths are relative to the camera file; move the picture "
            f"beside it."
        ) from error


def _required(where: str, entry: Mapping[str, Any], key: str) -> Any:
    if key not in entry:
        raise DataError(
            f"{where}: expected key {key!r}, got only {', '.join(sorted(entry)) or 'none'}. Add it."
        )
    return entry[key]


def _number(where: str, entry: Mapping[str, Any], key: str) -> float:
    value = _required(where, entry, key)
    if not is_number(value):
        raise DataError(
            f"{where}.{key}: expected a finite number of pixels, got {_short(value)}. Calibrate "
            f"this camera again."
        )
    if key in ("fx", "fy") and value <= 0:
        raise DataError(
            f"{where}.{key}: expected a positive focal length, got {value:g}. Where axes were "
            f"mirrored, undo that in w2c; focal lengths stay positive."
        )
    return float(value)


def _short(value: Any) -> str:
    """Show a value of a file in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _size(where: str, entry: Mapping[str, Any]) -> tuple[int, int] | None:
    if "w" not in entry and "h" not in entry:
        return None
    sides = [_required(where, entry, key) for key in ("h", "w")]
    if not all(
        is_number(side) and side == side // 1 and 0 < side <= LARGEST_SIDE for side in sides
    ):
        raise DataError(
            f"{where}: expected w and h as whole numbers of pixels, got {_short(sides[::-1])}. "
            f"Write the size of the picture."
        )
    return int(sides[0]), int(sides[1])


def _pose(where: str, rows: Any) -> "Float":
    # World to camera in the file, camera to world out of it.
    try:
        w2c = to_numbers(rows, (4, 4))
    except ValueError:
        w2c = np.empty(0)
    if w2c.shape != (4, 4):
        raise DataError(
            f"{where}.w2c: expected 4 rows of 4 numbers, got {_short(rows)}. Write [R | t] of "
            f"OpenCV with last row 0 0 0 1."
        )
    if not np.isfinite(w2c).all():
        raise DataError(
            f"{where}.w2c: expected finite numbers, got NaN or an infinity. Calibrate this camera "
            f"again, or leave it out of the reader's views.",
            code="MFL003",
        )
    rotation = w2c[:3, :3]
    error = off_rotation(rotation)
    if error > RIGID or np.abs(w2c[3] - [0, 0, 0, 1]).max() > RIGID:
        raise DataError(
            f"{where}.w2c: expected a rotation and a translation, got rows that are off "
            f"orthonormal by {error:.2g}. Write [R | t] of OpenCV with last row 0 0 0 1; scale "
            f"belongs into t.",
            code="MFL003",
        )
    if np.linalg.det(rotation) < 0:
        raise DataError(
            f"{where}.w2c: expected a rotation with det +1, got det -1. One axis is mirrored; "
            f"rebuild the pose with right x down = forward.",
            code="MFL003",
        )
    return to_w2c(w2c)


def _check_once(file: Path, what: str, values: list[str]) -> None:
    for index, value in enumerate(values):
        first = values.index(value)
        if first < index:
            raise DataError(
                f"{file}: expected every {what} once, got {value} in frames[{first}] and "
                f"frames[{index}]. Each picture has one camera."
            )
