"""Reads frames of Anipose's recordings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import ConfigError, DataError, did_you_mean
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.images.video import VideoReader
from mfl_adapt.types import RawCamera, Sample

from .calibration import CalibratedCamera, read_calibration
from .config import VideosConfig
from .discover import Trial, find_sessions, find_trials

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

STEP = "anipose.videos"


@dataclass(frozen=True, slots=True)
class _Recording:
    """The open videos of a trial.

    Attributes:
        id: Folder and trial.
        calibration: File that the cameras come from.
        cameras: Cameras as they belong to the videos' pixels, by name.
        videos: Video by camera name.
        masks: Mask video by camera name; empty where there are none.
        frames: Indices of the frames to read.
    """

    id: str
    calibration: Path
    cameras: dict[str, RawCamera]
    videos: dict[str, VideoReader]
    masks: dict[str, VideoReader]
    frames: range


class VideosReader:
    """Frames of videos that Anipose has calibrated; every chosen frame of a trial is one sample.

    Convention of the calibration: world to camera, OpenCV axes; OpenCV's pixels, whose middles are
    whole numbers, so 0.5 px are added to the principal point; the world's unit is that of the
    calibration board (usually mm) and its rotation that of a board or a camera, so that no axis
    need point up: set ``facelift_cameras.up_axis``. Lens distortion is undone once, on reading.

    The videos of a trial must start together and have one length. Every problem is a ``DataError``
    that names the file; no camera or frame is ever left out.
    """

    def __init__(self, config: VideosConfig) -> None:
        """Find the trials, read the calibrations and list the frames.

        Raises:
            ConfigError: If there is no path.
            DataError: If calibration and videos are missing, damaged or contradict one another.
        """
        if config.path is None:
            raise ConfigError(
                f"{STEP}: expected a dataset under data.path, got none. Name it with --data PATH."
            )
        self._config = config
        self._recordings = [
            _open(config, trial, file, cameras)
            for folder, file in find_sessions(config, config.path)
            for cameras in [_chosen(config, file)]
            for trial in find_trials(config, folder, list(cameras))
        ]
        self._starts = np.cumsum([0, *(len(one.frames) for one in self._recordings)])
        self._current: _Recording | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self._starts[-1])

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples, trial by trial in the order of time."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: If a frame does not decode.
            IndexError: If there is no such sample.
        """
        place = range(len(self))[index]
        trial = int(np.searchsorted(self._starts, place, side="right")) - 1
        recording = self._recordings[trial]
        self._switch_to(recording)
        return self._read(recording, recording.frames[place - int(self._starts[trial])])

    def _switch_to(self, recording: _Recording) -> None:
        """Hold the decoders of one trial only: a dataset may have hundreds of videos."""
        if self._current is not None and self._current is not recording:
            for video in (*self._current.videos.values(), *self._current.masks.values()):
                video.close()
        self._current = recording

    def _read(self, recording: _Recording, frame: int) -> Sample:
        views = []
        for name, camera in recording.cameras.items():
            video = recording.videos[name]
            mask = self._mask(recording.masks[name], frame) if recording.masks else None
            source = f"{video.path}: frame {frame}"
            views.append(RawView(name, video.frame(frame), mask, camera, source=source))
        params = {
            "frame": frame,
            "calibration": recording.calibration.name,
            "mask_threshold": self._config.mask_threshold,
            "camera_axes": "opencv",
            "pixel_centers": 0.0,
            "world": "units of the calibration board",
        }
        first = next(iter(recording.videos.values()))
        return begin_sample(
            f"{recording.id}/{frame:06d}",
            views,
            step=STEP,
            params=params,
            session=recording.id,
            time_s=float(first.times_s[frame]),
        )

    def _mask(self, video: VideoReader, frame: int) -> "Bytes":
        grey = video.frame(frame).mean(axis=2)
        return np.where(grey > self._config.mask_threshold, 255, 0).astype(np.uint8)


def _chosen(config: VideosConfig, file: Path) -> dict[str, CalibratedCamera]:
    # The cameras to keep, in the order asked for.
    cameras = read_calibration(file)
    kept = tuple(cameras) if config.cameras is None else config.cameras
    for name in (*kept, *config.offsets):
        if name not in cameras:
            hint = did_you_mean(name, cameras)
            raise DataError(f"{file}: expected a camera of the calibration, got {name!r}. {hint}")
    if len(set(kept)) < len(kept):
        raise DataError(f"{file}: expected every camera once, got {', '.join(kept)}.")
    return {name: cameras[name] for name in kept}


def _open(
    config: VideosConfig, trial: Trial, file: Path, cameras: dict[str, CalibratedCamera]
) -> _Recording:
    videos = {name: VideoReader(trial.videos[name]) for name in cameras}
    masks = {name: VideoReader(path) for name, path in trial.masks.items() if name in cameras}
    for name, mask in masks.items():
        sizes = [(one.width, one.height) for one in (videos[name], mask)]
        if sizes[0] != sizes[1]:
            raise DataError(
                f"{mask.path}: expected the size of its video, {sizes[0][0]} x {sizes[0][1]} px, "
                f"got {sizes[1][0]} x {sizes[1][1]}. Make the masks on the video as recorded."
            )
    frames = _frames(config, trial, [*videos.values(), *masks.values()])
    fitted = {name: _fitted(config, cameras[name], videos[name]) for name in cameras}
    return _Recording(trial.id, file, fitted, videos, masks, frames)


def _frames(config: VideosConfig, trial: Trial, videos: list[VideoReader]) -> range:
    lengths = [len(video) for video in videos]
    shortest, stop = min(lengths), config.stop
    if max(lengths) != shortest and (stop is None or stop > shortest):
        short, long = (videos[lengths.index(n)].path.name for n in (shortest, max(lengths)))
        raise DataError(
            f"trial {trial.id}: expected videos of one length, got {shortest} frames in {short} "
            f"and {max(lengths)} in {long}. Cut them to start together and end together, or set "
            f"the reader's stop to at most {shortest} if they do start together."
        )
    if stop is not None and stop > shortest:
        raise DataError(
            f"trial {trial.id}: expected stop within the {shortest} frames, got {stop}. Lower it."
        )
    frames = range(config.start, shortest if stop is None else stop, config.every)
    if not frames:
        raise DataError(
            f"trial {trial.id}: expected frames from start {config.start} to stop "
            f"{shortest if stop is None else stop}, got none. Lower start."
        )
    return frames


def _fitted(config: VideosConfig, calibrated: CalibratedCamera, video: VideoReader) -> RawCamera:
    # The camera in pixels of its video, which may be a crop of the calibrated frame.
    camera, size = calibrated.camera, (video.width, video.height)
    if calibrated.name in config.offsets:
        left, top = config.offsets[calibrated.name]
        fx, fy, cx, cy = camera.fxfycxcy
        moved = (fx, fy, cx - left, cy - top)
        return replace(camera, fxfycxcy=moved, width=video.width, height=video.height)
    if size != (camera.width, camera.height):
        raise DataError(
            f"{video.path}: expected the calibrated size, {camera.width} x {camera.height} px, "
            f"got {size[0]} x {size[1]}. If the video was cropped, set the reader's offsets; if "
            f"it was scaled, calibrate at its size."
        )
    return camera
