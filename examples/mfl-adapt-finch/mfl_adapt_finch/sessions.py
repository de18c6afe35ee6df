"""The reader: every frame of a session is one sample."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from mfl_adapt.errors import ConfigError
from mfl_adapt.images import RawView, begin_sample, choose_views, load_mask, load_picture
from mfl_adapt.types import Sample

from .aviary import read_aviary
from .calibration import read_calibration
from .config import SessionsConfig
from .layout import CALIBRATION, find_frames, find_sessions, frame_file, mask_file, read_bird

NAME = "finch.sessions"


class _Moment(NamedTuple):
    session: Path
    bird: str
    frame: str


class Sessions:
    """The component ``finch.sessions``.

    Calibration, perches and the list of frames are read at once, pictures when they are asked for.
    Conventions of the files are in ``calibration.py``; ``begin_sample`` undoes the lens. The marks
    on the perches travel in the sample's history, where the check ``finch.perches`` finds them.
    """

    def __init__(self, config: SessionsConfig) -> None:
        """Read what is small, and list the frames.

        Raises:
            ConfigError: If no aviary is named.
            DataError: If it cannot be used.
        """
        if config.path is None:
            raise ConfigError(
                f"{NAME}: expected an aviary under data.path, got none. Name it with --data FOLDER."
            )
        calibrated = read_calibration(config.path)
        names = list(calibrated)
        chosen = choose_views(names, config.cameras, str(config.path / CALIBRATION))
        self._cameras = {names[index]: calibrated[names[index]] for index in chosen}
        self._aviary = read_aviary(config.path, names)
        self._moments = [
            _Moment(session, bird, frame)
            for session in find_sessions(config.path, config.sessions)
            for bird in [read_bird(session)]
            for frame in find_frames(session, list(self._cameras), names)[:: config.every]
        ]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._moments)

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples, session by session in the order of time."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: If a picture or mask is missing, damaged or not of its camera's size.
        """
        session, bird, frame = self._moments[index]
        return begin_sample(
            f"{session.name}/{frame}",
            [self._view(session, camera, frame) for camera in self._cameras],
            step=NAME,
            params=self._params(frame),
            session=session.name,
            animal=bird,
            time_s=int(frame) / self._aviary.rate_hz,
        )

    def _params(self, frame: str) -> dict[str, Any]:
        return {
            "frame": int(frame),
            "rate_hz": self._aviary.rate_hz,
            "camera_axes": "opencv, from world to camera",
            "pixel_centers": "integer",
            "world": "millimetres, z up",
            "cameras": list(self._cameras),
            "marks": [
                {**asdict(mark), "point_mm": list(mark.point_mm), "pixel": list(mark.pixel)}
                for mark in self._aviary.marks
                if mark.camera in self._cameras
            ],
        }

    def _view(self, session: Path, camera: str, frame: str) -> RawView:
        file = frame_file(session, camera, frame)
        rgb, mask = load_picture(file).rgb, load_mask(mask_file(session, camera, frame))
        return RawView(camera, rgb, mask, self._cameras[camera], source=str(file))
