"""The flat layout of FaceLift's multi-view diffusion: six pictures and no camera file."""

from pathlib import Path

from mfl_adapt.cameras import FACELIFT_SLOT_NAMES, facelift_slots
from mfl_adapt.cameras.camera_file import Frame
from mfl_adapt.errors import DataError

_NAMES = [f"cam_{slot:03d}.png" for slot in range(len(FACELIFT_SLOT_NAMES))]
# Intrinsics are given for this size; pictures of another one are scaled from it.
_SIZE = 512


def slot_frames(folder: Path) -> list[Frame]:
    """Frames of a sample's six pictures, named after their slots.

    Raises:
        DataError: If the pictures are not ``cam_000.png`` ... ``cam_005.png``.
    """
    found = sorted(file.name for file in folder.glob("cam_*.png"))
    if found != _NAMES:
        raise DataError(
            f"{folder}: expected the six slot pictures {_NAMES[0]} ... {_NAMES[-1]}, got "
            f"{len(found)} ({', '.join(found[:7]) or 'none'}). Other views need a camera file, "
            f"opencv_cameras.json."
        )
    cameras = facelift_slots(_SIZE)
    return [
        Frame(name, folder / file, cameras.c2w[slot], cameras.fxfycxcy[slot], (_SIZE, _SIZE))
        for slot, (name, file) in enumerate(zip(FACELIFT_SLOT_NAMES, _NAMES, strict=True))
    ]
