"""Reads the frames of a recording one at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.images.video import VideoReader
from mfl_adapt.types import RawCamera, Sample

from .calibration import read_calibration, to_raw_camera
from .config import RecordingConfig
from .files import CameraFiles, find_files
from .frames import choose_frames

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

STEP = "markerless_mouse.recording"
# Frame rates this near are one: a header rounds 30000 / 1001 in many ways.
_SAME_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class _Filmed:
    """One camera with its open videos."""

    files: CameraFiles
    camera: RawCamera
    video: VideoReader
    mask: VideoReader | None


class RecordingReader:
    """Frames of synchronised videos with masks and calibration, each one a sample.

    Every problem is a ``DataError`` that names the file; no frame or camera is ever left out. The
    reader can be pickled and sent to worker processes, with what it knows about the videos.
    """

    def __init__(self, config: RecordingConfig) -> None:
        """Read the calibration and list the videos' frames; pictures are decoded when asked for.

        Raises:
            ConfigError: If there is no path.
            DataError: If a file is missing or damaged, or videos and calibration disagree.
        """
        if config.path is None:
            raise ConfigError(
                f"{STEP}: expected a recording under data.path, got none. Name it with --data PATH."
            )
        self._config, self._folder = config, config.path
        if not self._folder.is_dir():
            raise DataError(
                f"{self._folder}: expected the folder of a recording, got no such folder. "
                f"Check data.path."
            )
        self._filmed = self._open()
        self._check_videos()
        videos = [one.video for one in self._filmed]
        self._fps = config.fps or videos[0].fps
        self._frames = choose_frames(config, len(videos[0]), str(self._folder))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._frames)

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in the order of time."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: If a frame does not decode.
            IndexError: If the index is not from -len to len - 1, as for a list.
        """
        frame = self._frames[index]
        views = [self._view(one, frame) for one in self._filmed]
        folder = self._folder
        params = {
            "frame": frame,
            "fps": self._fps,
            "calibration": self._config.calibration,
            "videos": [one.files.video.relative_to(folder).as_posix() for one in self._filmed],
            "masks": [
                one.files.mask.relative_to(folder).as_posix()
                for one in self._filmed
                if one.files.mask is not None
            ],
            "mask_threshold": self._config.mask_threshold,
            "pixel_centers": self._config.pixel_centers,
            "camera_axes": "opencv",
        }
        return begin_sample(
            f"frame_{frame:06d}",
            views,
            step=STEP,
            params=params,
            session=self._config.session or folder.resolve().name,
            animal=self._config.animal,
            time_s=frame / self._fps,
        )

    def _open(self) -> list[_Filmed]:
        config = self._config
        calibration = self._folder / config.calibration
        entries = read_calibration(calibration)
        with_masks = config.masks == "video"
        files = find_files(self._folder, sorted(entries), config.cameras, masks=with_masks)
        videos = _open_videos([one.video for one in files])
        masks: Sequence[VideoReader | None] = [None] * len(files)
        if with_masks:
            masks = _open_videos([one.mask for one in files if one.mask is not None])
        filmed = []
        for one, video, mask in zip(files, videos, masks, strict=True):
            camera = to_raw_camera(
                f"{calibration}: camera {one.number}",
                entries[one.number],
                height=video.height,
                width=video.width,
                pixel_centers=config.pixel_centers,
                off_center=config.off_center,
            )
            filmed.append(_Filmed(one, camera, video, mask))
        return filmed

    def _check_videos(self) -> None:
        first = self._filmed[0].video
        for one in self._filmed:
            for video in (one.video, one.mask):
                if video is not None:
                    _check_length(first, video)
            if one.mask is not None:
                _check_size(one.video, one.mask)
            if self._config.fps is None:
                _check_rate(first, one.video)

    def _view(self, one: _Filmed, frame: int) -> RawView:
        mask = None
        if one.mask is not None:
            mask = _white(one.mask.frame(frame), self._config.mask_threshold)
        return RawView(
            name=f"cam_{one.files.number:03d}",
            rgb=one.video.frame(frame),
            mask=mask,
            camera=one.camera,
            source=f"{one.files.video}: frame {frame}",
        )


def _open_videos(files: list[Path]) -> list[VideoReader]:
    # Listing frames waits for the disk and for FFmpeg, which both leave the interpreter free.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(VideoReader, files))


def _white(rgb: "Bytes", threshold: int) -> "Bytes":
    """255 where a picture is brighter than the threshold, else 0, [H, W]."""
    import cv2

    # Codecs store brightness at full resolution and colour at half of it.
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    mask: Bytes = cv2.threshold(grey, threshold, 255, cv2.THRESH_BINARY)[1]
    return mask


def _check_length(first: VideoReader, video: VideoReader) -> None:
    if len(video) != len(first):
        raise DataError(
            f"{video.path}: expected {len(first)} frames like {first.path.parent.name}/"
            f"{first.path.name}, got {len(video)}. Frames were lost, and no frame number means one "
            f"moment any more; cut or export the videos together again."
        )


def _check_size(video: VideoReader, mask: VideoReader) -> None:
    if (mask.height, mask.width) != (video.height, video.width):
        raise DataError(
            f"{mask.path}: expected {video.width} x {video.height} px like {video.path.parent.name}"
            f"/{video.path.name}, got {mask.width} x {mask.height}. Make the masks from these "
            f"very videos."
        )


def _check_rate(first: VideoReader, video: VideoReader) -> None:
    if abs(video.fps / first.fps - 1.0) > _SAME_RATE:
        raise DataError(
            f"{video.path}: expected {first.fps:.4g} frames per second like "
            f"{first.path.parent.name}/{first.path.name}, got {video.fps:.4g}. Set the reader's "
            f"fps to the true rate."
        )
