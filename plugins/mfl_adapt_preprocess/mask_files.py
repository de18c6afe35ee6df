"""Masks that lie in a folder: one grey picture per view and moment, or one video per view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import history, lens, pixel_grid
from mfl_adapt.errors import DataError
from mfl_adapt.images import load_mask, to_mask
from mfl_adapt.images.video import VideoReader

from .config import DEFAULT_PATTERNS, AutoMaskConfig
from .masks import name_view

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Provenance, Sample

# A rig has fewer cameras; a dataset of many sessions must not keep all its videos open.
_MOST_VIDEOS = 32


class MaskFiles:
    """Finds and loads masks and, if asked to, carries them along to the pictures of now."""

    def __init__(self, config: AutoMaskConfig) -> None:
        """Look for the folder.

        Raises:
            DataError: If there is none.
        """
        folder = config.folder or Path()
        if not folder.is_dir():
            raise DataError(
                f"{folder}: expected a folder of masks, got no such folder. Change folder of "
                "preprocess.auto_mask."
            )
        self._folder, self._drawn_on = folder, config.drawn_on
        self._pattern = config.pattern or DEFAULT_PATTERNS[config.source]
        self._from_video = config.source == "video"
        self._videos: dict[Path, VideoReader] = {}

    def load(self, sample: Sample, number: int) -> Bytes:
        """Return the mask of one view, [H, W] uint8 like its picture.

        Raises:
            DataError: If the file is missing, is not grey or does not fit.
        """
        view = sample.views[number]
        path = self._path(sample, view.name)
        mask = self._read(path, sample)
        if self._is_drawn_on_raw(sample):
            return _carry(mask, path, sample, number)
        size = list(view.rgb.shape[:2])
        if list(mask.shape) != size:
            raise DataError(
                f"{path}: expected the size of {name_view(sample, view)}, {size}, got "
                f"{list(mask.shape)}. Draw masks on the same pictures, or set drawn_on: raw if "
                "they fit the raw frames."
            )
        return mask

    def _path(self, sample: Sample, view: str) -> Path:
        frame = _frame(sample) if "{frame" in self._pattern else None
        labels = {"sample": sample.id, "session": sample.session, "animal": sample.animal}
        return self._folder / self._pattern.format(view=view, frame=frame, **labels)

    def _read(self, path: Path, sample: Sample) -> Bytes:
        """Mask as it was drawn, [H, W].

        Raises:
            DataError: If the file is missing, damaged or no mask.
        """
        if self._from_video:
            return to_mask(self._video(path).frame(_frame(sample)), path)
        return load_mask(path)

    def _video(self, path: Path) -> VideoReader:
        if path not in self._videos:
            if len(self._videos) == _MOST_VIDEOS:
                for video in self._videos.values():
                    video.close()
                self._videos.clear()
            self._videos[path] = VideoReader(path)
        return self._videos[path]

    def _is_drawn_on_raw(self, sample: Sample) -> bool:
        if self._drawn_on is not None:
            return self._drawn_on == "raw"
        moved = next((step.step for step in sample.provenance if _moves_pixels(step)), None)
        if moved is not None:
            raise DataError(
                f"sample {sample.id}: expected to know which pictures the masks were drawn on, as "
                f"{moved} has moved pixels since the raw frame. Set drawn_on: raw or picture."
            )
        return False


def _frame(sample: Sample) -> int:
    """Number of the video frame that the sample was read from.

    Raises:
        DataError: If its reader noted none.
    """
    for step in sample.provenance:
        frame = step.params.get("frame")
        if isinstance(frame, int) and not isinstance(frame, bool):
            return frame
    raise DataError(
        f"sample {sample.id}: expected its reader to note the number of the video frame, got "
        "none. Use mask pictures with {sample} in the pattern instead."
    )


def _moves_pixels(step: Provenance) -> bool:
    moved = any(not np.array_equal(one, np.eye(3)) for one in step.pixel_maps)
    return moved or not all(lens.is_straight(camera) for camera in step.raw_cameras)


def _carry(mask: Bytes, path: Path, sample: Sample, number: int) -> Bytes:
    """Look up each pixel of the view in the raw mask, through all maps and the lens.

    Raises:
        DataError: If the history has no raw camera, or the mask is not of its size.
    """
    import cv2

    view, camera = sample.views[number], history.raw_camera(number, sample.provenance)
    if mask.shape != (camera.height, camera.width):
        raise DataError(
            f"{path}: expected the size of the raw frame, {[camera.height, camera.width]}, got "
            f"{list(mask.shape)}. Draw masks on the raw frames, or set drawn_on: picture."
        )
    grid = pixel_grid(view.height, view.width).reshape(-1, 2)
    raw = history.to_raw_pixels(grid, number, sample.provenance)
    # OpenCV counts pixel centres from 0; where the lens has no ray, nothing is looked up.
    places = np.nan_to_num(raw - 0.5, nan=-9.0).reshape(view.height, view.width, 2)
    return cv2.remap(mask, places.astype(np.float32), None, cv2.INTER_LINEAR, borderValue=0)
