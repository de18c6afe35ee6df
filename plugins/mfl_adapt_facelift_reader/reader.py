"""Reads sample folders one at a time."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfl_adapt.cameras import FACELIFT_SLOT_NAMES
from mfl_adapt.cameras.camera_file import Frame, read_frames
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.files import read_json
from mfl_adapt.images import (
    Picture,
    RawView,
    alpha_of,
    begin_sample,
    choose_views,
    load_picture,
)
from mfl_adapt.types import RawCamera, Sample

from .config import GslrmReaderConfig
from .discover import CAMERAS, SampleFolder, choose_layout, find_samples
from .history import read_history
from .slots import slot_frames

_log = logging.getLogger(__name__)


class GslrmReader:
    """Samples with ``opencv_cameras.json``, or of the six slots and without camera file.

    Every problem is a ``DataError`` that names the file; no sample or view is ever left out.
    """

    def __init__(self, config: GslrmReaderConfig) -> None:
        """Find the samples; pictures are read when asked for.

        Raises:
            ConfigError: If there is no path.
            DataError: If the path or one of its entries is no dataset.
        """
        if config.path is None:
            raise ConfigError(
                "facelift_reader.gslrm: expected a dataset under data.path, got none. Name it "
                "with --data PATH."
            )
        self._config = config
        self._layout = choose_layout(config.path) if config.layout == "auto" else config.layout
        self._samples = find_samples(config.path, self._layout)
        if self._layout == "mvdiffusion":
            _log.info(
                "%s: no camera files; the pictures are taken for those of FaceLift's slots (%s)",
                config.path,
                ", ".join(FACELIFT_SLOT_NAMES),
            )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in their fixed order."""
        return (self._read(sample) for sample in self._samples)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: If one of its files is missing, damaged or contradicts another.
        """
        return self._read(self._samples[index])

    def _read(self, place: SampleFolder) -> Sample:
        file, content, frames = self._frames(place.folder)
        history = read_history(place.folder, len(frames))
        kept = choose_views([frame.name for frame in frames], self._config.views, str(file))
        found = [self._view(frames[index]) for index in kept]
        params: dict[str, Any] = {"mask": self._config.mask, "layout": self._layout}
        resized = [view.name for view, scale in found if scale != (1.0, 1.0)]
        if self._layout == "mvdiffusion":
            params["cameras"] = "facelift_slots"
        else:
            params["rescaled_views"] = resized
            _warn_of(resized, file)
        return begin_sample(
            place.id,
            [view for view, _ in found],
            step="facelift_reader.gslrm",
            params=params,
            session=_label(file, content, "session"),
            animal=_label(file, content, "animal"),
            time_s=_time(file, content),
            history=history,
            order=() if kept == list(range(len(frames))) else kept,
            # After a history, a resize of the files is one more map.
            pixel_maps=[np.diag([*scale, 1.0]) for _, scale in found] if resized else (),
        )

    def _frames(self, folder: Path) -> tuple[Path, Any, list[Frame]]:
        """The file or folder that messages name, what else it says, and the frames.

        Raises:
            DataError: If there is no camera file, or one that cannot be used.
        """
        if self._layout == "mvdiffusion":
            return folder, {}, slot_frames(folder)
        file = folder / CAMERAS
        if not file.exists():
            raise DataError(
                f"{file}: expected the cameras of this sample, got no such file. None are made up: "
                "copy the file back, or take the sample out of the dataset.",
                code="MFL012",
            )
        content = read_json(file, advice="Check data.path.")
        return file, content, read_frames(file, content)

    def _view(self, frame: Frame) -> tuple[RawView, tuple[float, float]]:
        # The view, and by how much its picture is larger than the camera file says.
        picture = _open(frame.picture, self._config.mask, self._config.bits)
        height, width = picture.rgb.shape[:2]
        scale = _scale(frame, picture)
        fx, fy, cx, cy = (frame.fxfycxcy * np.array([*scale, *scale])).tolist()
        pose = tuple(tuple(row) for row in frame.c2w.tolist())
        camera = RawCamera(pose, (fx, fy, cx, cy), height, width)
        return RawView(frame.name, picture.rgb, picture.mask, camera, str(frame.picture)), scale


def _warn_of(resized: list[str], file: Path) -> None:
    if resized:
        _log.warning(
            "%s: w and h differ from the pictures; intrinsics of %d views were rescaled",
            file,
            len(resized),
        )


def _open(path: Path, mask: Literal["alpha", "none"], bits: Literal[8, 16]) -> Picture:
    # With its alpha as mask, where that is asked for.
    picture = load_picture(path, bits)
    return picture._replace(mask=alpha_of(picture, path) if mask == "alpha" else None)


def _scale(frame: Frame, picture: Picture) -> tuple[float, float]:
    # Factors along x and y from the size in the camera file to the picture's.
    height, width = picture.rgb.shape[:2]
    if frame.size is None:
        return 1.0, 1.0
    # A resized picture's sides are rounded to whole pixels, so allow one along the longer side.
    if abs(width * frame.size[0] - height * frame.size[1]) > max(frame.size):
        raise DataError(
            f"{frame.picture}: expected the aspect of its camera, w x h = {frame.size[1]} x "
            f"{frame.size[0]}, got {width} x {height}. The picture was cropped or stretched "
            f"without its camera; go back to the original picture.",
            code="MFL015",
        )
    return width / frame.size[1], height / frame.size[0]


def _label(file: Path, content: Any, key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise DataError(f"{file}: expected text under {key!r}, got {value!r:.40}.")
    return value


def _time(file: Path, content: Any) -> float | None:
    value = content.get("time_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise DataError(f"{file}: expected seconds under 'time_s', got {value!r:.40}.")
    return float(value)
