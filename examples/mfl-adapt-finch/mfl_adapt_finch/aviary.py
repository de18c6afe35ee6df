"""What the cameras stand around: ``aviary.toml`` and ``perches.csv``.

    rate_hz = 50.0
    units = "mm"
    up = "z"

    [perches.upper]
    ends_mm = [[-150.0, 0.0, 1100.0], [150.0, 0.0, 1100.0]]

``perches.csv`` says where somebody clicked the ends in a picture of every camera, in raw pixels
with the centre of the first one at (0, 0): ``camera,perch,end,x,y``, where ``end`` is 1 or 2. An
end that a camera does not see has no row. A perch stays where it is, so these clicks tell whether
a camera still does; click them again in later pictures when you want to know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mfl_adapt.checks import is_number, to_numbers
from mfl_adapt.errors import DataError, did_you_mean

from .calibration import HALF_PIXEL, read_table, to_number
from .layout import AVIARY, MARKS, read_toml

COLUMNS = ("camera", "perch", "end", "x", "y")


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of a perch, as a camera shows it.

    Attributes:
        camera: Name of the camera.
        perch: Name of the perch.
        end: 1 or 2.
        point_mm: Where the end is in the world.
        pixel: Where it was clicked in the raw picture; the centre of the first pixel is (0.5, 0.5).
    """

    camera: str
    perch: str
    end: int
    point_mm: tuple[float, float, float]
    pixel: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Aviary:
    """An aviary.

    Attributes:
        rate_hz: Frames per second.
        marks: Ends of perches seen by cameras; empty if nobody clicked them.
    """

    rate_hz: float
    marks: tuple[Mark, ...]


def read_aviary(folder: Path, cameras: Sequence[str]) -> Aviary:
    """Read both files; ``perches.csv`` may be absent.

    Args:
        folder: The aviary.
        cameras: Names of the calibrated cameras.

    Raises:
        DataError: If a file cannot be used, or names a camera or perch that does not exist.
    """
    file = folder / AVIARY
    content = read_toml(file, "an aviary")
    for key, wanted in (("units", "mm"), ("up", "z")):
        if content.get(key) != wanted:
            raise DataError(
                f"{file}: expected {key} = {wanted!r}, got {content.get(key)!r:.40}. Convert the "
                "world of calibration and perches, or state what it is."
            )
    rate = content.get("rate_hz")
    if not is_number(rate) or rate <= 0:
        raise DataError(
            f"{file}: expected rate_hz above 0, got {rate!r:.40}. Enter the frame rate."
        )
    return Aviary(float(rate), _marks(folder / MARKS, _perches(file, content), cameras))


def _perches(file: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Ends [2, 3] of every perch, in mm.

    Raises:
        DataError: If a perch has other than two ends.
    """
    sections = content.get("perches", {})
    if not isinstance(sections, dict):
        sections = {"": sections}
    perches = {}
    for name, section in sections.items():
        try:
            perches[name] = _ends(section)
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{file}: expected ends_mm = [[x, y, z], [x, y, z]] of perch {name!r:.40}, got "
                f"{error!r:.60}. Measure it again."
            ) from error
    return perches


def _ends(section: Any) -> Any:
    """Ends of one perch.

    Raises:
        ValueError: If they are not two points; other errors of look-up too.
    """
    ends = to_numbers(section["ends_mm"], (2, 3))
    if not np.isfinite(ends).all():
        raise ValueError("numbers that are not finite")
    return ends


def _marks(file: Path, perches: Mapping[str, Any], cameras: Sequence[str]) -> tuple[Mark, ...]:
    """Read the clicks.

    Raises:
        DataError: If the table cannot be used.
    """
    if not file.exists():
        return ()
    marks: dict[tuple[str, ...], Mark] = {}
    for where, row in read_table(file, COLUMNS):
        camera, perch, end = row["camera"], row["perch"], row["end"]
        for kind, name, known in (("camera", camera, cameras), ("perch", perch, perches)):
            if name not in known:
                hint = did_you_mean(name, known)
                raise DataError(f"{where}: expected a known {kind}, got {name!r:.60}. {hint}")
        if end not in {"1", "2"} or (camera, perch, end) in marks:
            raise DataError(
                f"{where}: expected end 1 or 2 of a perch, each once, got {end!r:.40} of {perch} "
                f"in {camera}. Correct it."
            )
        x, y, z = perches[perch][int(end) - 1].tolist()
        pixel = tuple(to_number(where, row, one) + HALF_PIXEL for one in ("x", "y"))
        marks[camera, perch, end] = Mark(camera, perch, int(end), (x, y, z), (pixel[0], pixel[1]))
    return tuple(marks.values())
