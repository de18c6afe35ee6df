"""The files of a recording."""

from dataclasses import dataclass
from pathlib import Path

from mfl_adapt.errors import DataError

CALIBRATION = "new_cam.pkl"
VIDEOS = "videos_undist"
MASKS = "simpleclick_undist"


@dataclass(frozen=True, slots=True)
class CameraFiles:
    """What one camera recorded.

    Attributes:
        number: Number of the camera, which names its files.
        video: The undistorted video.
        mask: The mask video; None where masks are not asked for.
    """

    number: int
    video: Path
    mask: Path | None


def can_read(path: Path) -> bool:
    """Whether the path looks like a recording; never raises and opens no file."""
    try:
        return (path / CALIBRATION).is_file() and (path / VIDEOS).is_dir()
    except (OSError, ValueError):  # a name that can be no path
        return False


def find_files(
    folder: Path, calibrated: list[int], chosen: tuple[int, ...] | None, *, masks: bool
) -> list[CameraFiles]:
    """Match videos, mask videos and calibrated cameras by their numbers.

    Args:
        folder: The recording.
        calibrated: Numbers of the cameras in the calibration.
        chosen: Cameras to read; None stands for all.
        masks: Whether each camera needs a mask video.

    Returns:
        One entry per camera, as chosen, or in rising order.

    Raises:
        DataError: If a camera, a video or a mask video is missing.
    """
    filmed = _numbers(folder / VIDEOS)
    for number in chosen or sorted({*calibrated, *filmed}):
        if number not in calibrated:
            raise DataError(
                f"{folder}: expected camera {number} in the calibration, got only {calibrated}. "
                f"Calibrate it, or leave it out of cameras."
            )
    numbers = chosen or tuple(sorted(calibrated))
    found = [
        CameraFiles(
            number,
            folder / VIDEOS / f"{number}.mp4",
            folder / MASKS / f"{number}.mp4" if masks else None,
        )
        for number in numbers
    ]
    for one in found:
        _check_there(one.video, "a video of every camera", f"leave camera {one.number} out")
        if one.mask is not None:
            _check_there(one.mask, "a mask video of every camera", "set masks: none")
    return found


def _numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(file.stem) for file in folder.glob("*.mp4") if file.stem.isdecimal())
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder of videos, got {error.strerror or error}. Check the path."
        ) from error


def _check_there(file: Path, rule: str, remedy: str) -> None:
    if not file.is_file():
        raise DataError(f"{file}: expected {rule}, got no such file. Copy it, or {remedy}.")
