"""The cameras of an aviary: ``calibration.csv``.

    camera,width,height,fx,fy,cx,cy,k1,k2,p1,p2,k3,rx,ry,rz,tx,ty,tz

Numbers are those of OpenCV's ``calibrateCamera``: focal lengths and principal point in pixels, with
the centre of the first pixel at (0, 0); ``k1 k2 p1 p2 k3`` of its standard lens; ``rx ry rz``, axis
times angle in radians, and ``tx ty tz``, in millimetres, take the world into the camera, whose
axes are x right, y down, z forward. The world is z up, in millimetres.
"""

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mfl_adapt.cameras import to_w2c
from mfl_adapt.errors import DataError
from mfl_adapt.types import RawCamera

from .layout import CALIBRATION, is_name, read_text

if TYPE_CHECKING:
    from mfl_adapt.types import Float

LENS = ("k1", "k2", "p1", "p2", "k3")
POSE = ("rx", "ry", "rz", "tx", "ty", "tz")
COLUMNS = ("camera", "width", "height", "fx", "fy", "cx", "cy", *LENS, *POSE)
HALF_PIXEL = 0.5
"""OpenCV puts the centre of the first pixel at 0; in mfl_adapt it is at 0.5."""


def read_table(file: Path, columns: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """Read a CSV file with a header.

    Returns:
        The rows, each after the place to name in messages (``calibration.csv:2``).

    Raises:
        DataError: If it cannot be read, or has other columns.
    """
    text = read_text(file, f"a table of {', '.join(columns)}")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise DataError(f"{file}: expected a CSV table, got {error}. Export it again.") from error
    header = tuple(one.strip() for one in rows[0]) if rows else ()
    if header != columns:
        raise DataError(
            f"{file}:1: expected the columns {','.join(columns)}, got {','.join(header)!r:.120}. "
            "Export it again."
        )
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(columns):
            raise DataError(
                f"{file}:{number}: expected {len(columns)} fields, got {len(row)}. The file may "
                "be cut short; export it again."
            )
        fields = (one.strip() for one in row)
        found.append((f"{file}:{number}", dict(zip(columns, fields, strict=True))))
    return found


def to_number(where: str, row: dict[str, str], column: str) -> float:
    """Read a finite number of a row.

    Raises:
        DataError: If it is none.
    """
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{where}: expected a finite number for {column}, got {row[column]!r:.40}. Calibrate "
            "again or correct it."
        )
    return value


def read_calibration(folder: Path) -> dict[str, RawCamera]:
    """Read all cameras by name, in the order of the file.

    Raises:
        DataError: If the file cannot be used.
    """
    file = folder / CALIBRATION
    cameras: dict[str, RawCamera] = {}
    for where, row in read_table(file, COLUMNS):
        name = row["camera"]
        if not is_name(name) or name in cameras:
            raise DataError(
                f"{where}: expected a camera's name of letters, digits, dots, - and _, and every "
                f"name once, got {name!r:.60}. Rename the camera and its folders."
            )
        cameras[name] = _camera(where, row)
    if not cameras:
        raise DataError(f"{file}: expected at least one camera, got none. Calibrate.")
    return cameras


def _camera(where: str, row: dict[str, str]) -> RawCamera:
    """Turn OpenCV's conventions into those of ``mfl_adapt``.

    Raises:
        DataError: If a number is none, or a size or focal length is not positive.
    """
    width, height, fx, fy, cx, cy = (to_number(where, row, one) for one in COLUMNS[1:7])
    if min(width, height, fx, fy) <= 0 or width % 1 or height % 1:
        raise DataError(
            f"{where}: expected whole sides and positive focal lengths, got {width:g} x "
            f"{height:g} px with {fx:g} and {fy:g}. Calibrate again."
        )
    bend = tuple(to_number(where, row, one) for one in LENS)
    turn, shift = np.array([to_number(where, row, one) for one in POSE]).reshape(2, 3)
    return RawCamera(
        c2w=_rows(to_c2w(turn, shift)),
        fxfycxcy=(fx, fy, cx + HALF_PIXEL, cy + HALF_PIXEL),
        height=int(height),
        width=int(width),
        lens="brown" if any(bend) else "pinhole",
        distortion=bend if any(bend) else (),
    )


def to_c2w(turn: "Float", shift: "Float") -> "Float":
    """Camera to world [4, 4] from OpenCV's rotation vector and translation, world to camera."""
    w2c = np.eye(4)
    w2c[:3, :3], w2c[:3, 3] = cv2.Rodrigues(turn)[0], shift
    return to_w2c(w2c)


def _rows(matrix: "Float") -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in matrix)
