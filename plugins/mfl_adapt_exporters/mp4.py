"""Ready frames as an H.264 video that browsers and slide programs play."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.checks import check_shape
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.images.mp4 import Mp4Writer

from .config import Mp4Config
from .paths import check_suffix

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Mp4:
    """The component ``exporters.mp4``."""

    def __init__(self, config: Mp4Config) -> None:
        self.config = config

    def __call__(self, frames: NDArray[np.uint8], path: Path, *, fps: float) -> None:
        """Write a video, whole or not at all.

        H.264 stores colour for two by two pixels, so a picture of odd height or width repeats
        its last row or column.

        Args:
            frames: sRGB pictures, [T, H, W, 3] uint8.
            path: File to write, ending in ``.mp4``.
            fps: Frames per second.

        Raises:
            RangeError: If the path has another ending, or ``fps`` is not a positive number.
            ShapeError: If there is no frame, or the frames have another shape or type.
            StorageError: If the file cannot be written.
        """
        path = Path(path)
        check_suffix("exporters.mp4", path, ".mp4")
        if not 0 < fps < math.inf:
            raise RangeError(
                f"exporters.mp4: fps: expected a number of frames per second above 0, got {fps:g}."
            )
        check_frames(frames)
        height, width = frames.shape[1:3]
        with Mp4Writer(path, fps=fps, crf=self.config.crf) as video:
            for frame in frames:
                video.add(np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Raise unless these are pictures of 8 bits, at least one.

    Raises:
        ShapeError: If they are not.
    """
    hint = "Give frames, height, width and colour in this order."
    check_shape("exporters.mp4: frames", frames, [None, None, None, 3], hint=hint)
    if min(frames.shape) < 1:
        raise ShapeError(
            f"exporters.mp4: expected at least one frame of at least one pixel, got "
            f"{list(frames.shape)}. Draw some first."
        )
    if frames.dtype != np.uint8:
        raise ShapeError(
            f"exporters.mp4: expected frames of uint8 from 0 to 255, got {frames.dtype}. "
            f"Multiply colours in [0, 1] by 255 and round."
        )
