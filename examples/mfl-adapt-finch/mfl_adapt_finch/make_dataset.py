"""Draws an aviary with birds in it, with nothing to download.

    python -m mfl_adapt_finch.make_dataset aviary --birds 40 --seed 0

Every bird has one session of a few frames. The same seed draws the same aviary, and more birds only
add to it.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mfl_adapt.cameras import look_at, to_w2c
from mfl_adapt.errors import DataError, MflAdaptError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import save_picture

from . import aviary, calibration
from .bird import Ellipsoid, Looks, draw_looks, pose_bird
from .drawing import LabCamera, draw_backdrop, draw_bird
from .layout import AVIARY, CALIBRATION, MARKS, SESSION, SESSIONS, frame_file, mask_file

RUN = "finch.yaml"
RATE_HZ = 50.0
BUMP_DEG = 3.0
_FIRST_DAY = date(2026, 3, 2)
_WOOD = (0.55, 0.42, 0.29)
_RADIUS = 4.0
# Half-length and middle of each perch in mm. Birds sit on the first; the others are lower and
# further out, so that no perch ever hides a bird from a camera above it.
_PERCHES = {
    "upper": (np.array([150.0, 0.0, 0.0]), np.array([0.0, 0.0, 1100.0])),
    "east": (np.array([0.0, 110.0, 0.0]), np.array([130.0, 10.0, 1015.0])),
    "west": (np.array([0.0, 110.0, 0.0]), np.array([-125.0, -20.0, 990.0])),
}
# How far from the end somebody clicks, as a share of the picture's width.
_CLICK = 0.4 / 320


class Choices(NamedTuple):
    """What to draw.

    Attributes:
        birds: How many, each with a session.
        frames: Of a session.
        cameras: How many stand around the perches.
        width: Of the pictures in pixels; they are 4 to 3.
        seed: Of everything random.
        bump: Camera that somebody knocked after it was calibrated, or empty.
    """

    birds: int = 40
    frames: int = 4
    cameras: int = 10
    width: int = 320
    seed: int = 0
    bump: str = ""


def make_dataset(folder: Path, choices: Choices) -> Path:
    """Draw an aviary and write it.

    Args:
        folder: New or empty.
        choices: What to draw.

    Returns:
        The folder.

    Raises:
        DataError: If the folder holds something, or the camera to be knocked does not exist.
        StorageError: If a file cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: expected a new or empty folder, got one that is in use.")
    rng = np.random.default_rng([choices.seed, 0])
    cameras = [_stand(index, choices, rng) for index in range(choices.cameras)]
    names = [camera.name for camera in cameras]
    if choices.bump and choices.bump not in names:
        raise DataError(
            f"--bump: expected one of the cameras {', '.join(names)}, got {choices.bump!r}."
        )
    _write_calibration(folder, cameras)
    cameras = [_knock(one) if one.name == choices.bump else one for one in cameras]
    _write_perches(folder, cameras, rng)
    run = files("mfl_adapt_finch").joinpath(RUN).read_bytes()
    write_atomically(folder / RUN, run)
    wood = [_to_wood(*perch) for perch in _PERCHES.values()]
    backdrops = [draw_backdrop(camera, wood) for camera in cameras]
    for bird in range(choices.birds):
        session = folder / SESSIONS / (_FIRST_DAY + timedelta(days=bird)).isoformat()
        rng = np.random.default_rng([choices.seed, 1 + bird])
        looks = draw_looks(rng)
        sex = "male" if looks.male else "female"
        text = f'bird = "zf-{bird + 1:03d}"\nsex = "{sex}"\n'
        write_atomically(session / SESSION, text.encode())
        for frame in _frame_numbers(choices.frames, rng):
            parts = _settle(looks, rng)
            for camera, backdrop in zip(cameras, backdrops, strict=True):
                rgb, mask = draw_bird(camera, backdrop, parts)
                save_picture(frame_file(session, camera.name, frame), rgb)
                grey = np.repeat(mask[..., None], 3, axis=-1)
                save_picture(mask_file(session, camera.name, frame), grey)
    return folder


def _stand(index: int, choices: Choices, rng: np.random.Generator) -> LabCamera:
    """Put up a camera, roughly where it belongs, as people do; low and high ones in turn."""
    degrees = 360.0 * index / choices.cameras
    azimuth = np.radians(degrees + rng.uniform(-4.0, 4.0))
    elevation = np.radians((28.0 if index % 2 else 10.0) + rng.uniform(-3.0, 3.0))
    distance = rng.uniform(850.0, 1000.0)
    flat = np.cos(elevation)
    away = np.array([np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(elevation)])
    middle = _PERCHES["upper"][1] + rng.uniform(-12.0, 12.0, 3)
    w2c = to_w2c(look_at(middle + distance * away, middle))
    roll = cv2.Rodrigues(np.radians([0.0, 0.0, rng.uniform(-3.0, 3.0)]))[0]
    rotation = roll @ w2c[:3, :3]
    size = (choices.width, choices.width * 3 // 4)
    focal = rng.uniform(1.75, 1.95) * choices.width * np.array([1.0, rng.uniform(0.995, 1.005)])
    off = rng.uniform(-0.015, 0.015, 2) * choices.width
    matrix = np.diag([*focal, 1.0])
    matrix[:2, 2] = (np.array(size) - 1) / 2 + off
    bend = np.array(
        [
            rng.uniform(-0.3, -0.2),
            rng.uniform(0.04, 0.1),
            *rng.uniform(-0.001, 0.001, 2),
            0.0,
        ]
    )
    turn = cv2.Rodrigues(rotation)[0].ravel()
    return LabCamera(f"cam{round(degrees):03d}", size, matrix, bend, turn, roll @ w2c[:3, 3])


def _knock(camera: LabCamera) -> LabCamera:
    """Turn a camera about its own centre, to the side."""
    turn = cv2.Rodrigues(np.radians([0.0, BUMP_DEG, 0.0]))[0]
    rotation = turn @ cv2.Rodrigues(camera.turn)[0]
    return LabCamera(
        camera.name,
        camera.size,
        camera.matrix,
        camera.bend,
        cv2.Rodrigues(rotation)[0].ravel(),
        turn @ camera.shift,
    )


def _to_wood(half: Any, middle: Any) -> Ellipsoid:
    """Carve a perch that tapers to its ends."""
    length = float(np.linalg.norm(half))
    along = half / length
    axes = np.column_stack([along, [-along[1], along[0], 0.0], [0.0, 0.0, 1.0]])
    return Ellipsoid(middle, np.array([length, _RADIUS, _RADIUS]), axes, _WOOD, _WOOD)


def _frame_numbers(count: int, rng: np.random.Generator) -> list[str]:
    """Frames that somebody picked, seconds apart."""
    return [f"{number:06d}" for number in np.cumsum(rng.integers(150, 700, count))]


def _settle(looks: Looks, rng: np.random.Generator) -> list[Ellipsoid]:
    """Put the bird somewhere on the upper perch, in a new pose."""
    along = rng.uniform(-0.5, 0.5)
    half, middle = _PERCHES["upper"]
    top = middle + along * half
    top[2] += _RADIUS * np.sqrt(1.0 - along**2)
    return pose_bird(looks, rng, top)


def _write_calibration(folder: Path, cameras: Sequence[LabCamera]) -> None:
    rows = [
        [
            one.name,
            *one.size,
            *(one.matrix[0, 0], one.matrix[1, 1], one.matrix[0, 2], one.matrix[1, 2]),
            *one.bend,
            *one.turn,
            *one.shift,
        ]
        for one in cameras
    ]
    _write_table(folder / CALIBRATION, calibration.COLUMNS, rows)


def _write_perches(folder: Path, cameras: Sequence[LabCamera], rng: np.random.Generator) -> None:
    """Write where the perches are, and click their ends, with an unsteady hand."""
    text = f'rate_hz = {RATE_HZ}\nunits = "mm"\nup = "z"\nspecies = "Taeniopygia guttata"\n'
    rows = []
    for name, (half, middle) in _PERCHES.items():
        ends = np.stack([middle - half, middle + half])
        text += f"\n[perches.{name}]\nends_mm = {ends.tolist()}\n"
        for camera in cameras:
            clicks = camera.project(ends) + rng.normal(0.0, _CLICK * camera.size[0], (2, 2))
            for end, (x, y) in enumerate(clicks.tolist(), start=1):
                if 2 <= x <= camera.size[0] - 3 and 2 <= y <= camera.size[1] - 3:
                    rows.append([camera.name, name, end, f"{x:.2f}", f"{y:.2f}"])
    write_atomically(folder / AVIARY, text.encode())
    _write_table(folder / MARKS, aviary.COLUMNS, rows)


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_atomically(file, stream.getvalue().encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line asks for.

    Args:
        arguments: Words of the command line; None takes those of the process.

    Returns:
        0, or 1 after one line about what to mend.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mfl_adapt_finch.make_dataset",
        description="Draw an aviary with birds in it.",
    )
    defaults = Choices()
    parser.add_argument("folder", type=Path, help="new or empty")
    for key, least, text in (
        ("birds", 1, "how many birds, each with a session"),
        ("frames", 1, "frames of a session"),
        ("cameras", 3, "how many cameras stand around"),
        ("width", 32, "width of the pictures in pixels"),
        ("seed", 0, "of everything random"),
    ):
        default = getattr(defaults, key)
        kind = _at_least(least)
        parser.add_argument(
            f"--{key}", type=kind, default=default, metavar="N", help=f"{text} [{default}]"
        )
    parser.add_argument(
        "--bump",
        default="",
        metavar="CAMERA",
        help="a camera that was knocked after it was calibrated, such as cam036",
    )
    chosen = vars(parser.parse_args(arguments))
    folder = chosen.pop("folder")
    try:
        make_dataset(folder, Choices(**chosen))
    except MflAdaptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: {chosen['birds']} birds, {chosen['frames']} frames each")
    print(f"mfl-adapt doctor {folder / RUN} --data {folder}")
    print(f"mfl-adapt train {folder / RUN} --data {folder}")
    return 0


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, got {value}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
