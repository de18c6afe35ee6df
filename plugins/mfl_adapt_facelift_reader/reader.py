"""Reads sample folders one at a time."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfl_adapt.errors import ConfigError, DataError, did_you_mean
from mfl_adapt.images import Picture, digest_views, load_picture
from mfl_adapt.types import Provenance, Sample, View

from .config import GslrmReaderConfig
from .discover import CAMERAS, SampleFolder, find_samples, load_json
from .frames import Frame, read_frames
from .history import read_history

_log = logging.getLogger(__name__)


class GslrmReader:
    """Samples in the layout ``<sample>/images/*.png`` with ``<sample>/opencv_cameras.json``.

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
        self._samples = find_samples(config.path)

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
        file = place.folder / CAMERAS
        content = load_json(file)
        frames = read_frames(file, content)
        kept = _kept(frames, self._config.views, file)
        rescaled: list[str] = []
        views = tuple(self._view(frames[index], rescaled) for index in kept)
        if rescaled:
            _log.warning(
                "%s: w and h differ from the pictures; intrinsics of %d views were rescaled",
                file,
                len(rescaled),
            )
        step = Provenance(
            step="facelift_reader.gslrm",
            params={"mask": self._config.mask, "rescaled_views": rescaled},
            digest=digest_views(views),
        )
        return Sample(
            id=place.id,
            views=views,
            provenance=(*read_history(place.folder, len(frames), kept), step),
            session=_label(file, content, "session"),
            animal=_label(file, content, "animal"),
            time_s=_time(file, content),
        )

    def _view(self, frame: Frame, rescaled: list[str]) -> View:
        picture = load_picture(frame.picture)
        scale = _scale(frame, picture)
        if scale != (1.0, 1.0):
            rescaled.append(frame.name)
        if self._config.mask == "alpha" and picture.mask is None:
            raise DataError(
                f"{frame.picture}: expected an alpha channel that holds the mask, got a picture "
                f"without one. Add it, or set mask: none and add preprocess.auto_mask."
            )
        return View(
            name=frame.name,
            rgb=picture.rgb,
            mask=picture.mask if self._config.mask == "alpha" else None,
            c2w=frame.c2w,
            fxfycxcy=frame.fxfycxcy * np.array([*scale, *scale]),
            source=str(frame.picture),
        )


def _scale(frame: Frame, picture: Picture) -> tuple[float, float]:
    # Factors along x and y from the size in the camera file to the picture's.
    height, width = picture.rgb.shape[:2]
    if frame.size is None:
        return 1.0, 1.0
    # A resized picture's sides are rounded to whole pixels, so allow one along the longer side.
    if abs(width * frame.size[0] - height * frame.size[1]) > max(frame.size):
        raise DataError(
            f"{frame.picture}: expected the aspect of {CAMERAS}, w x h = {frame.size[1]} x "
            f"{frame.size[0]}, got {width} x {height}. The picture was cropped or stretched "
            f"without its camera; go back to the original picture."
        )
    return width / frame.size[1], height / frame.size[0]


def _kept(frames: list[Frame], views: Sequence[int | str] | None, file: Path) -> list[int]:
    # Indices of the frames to read, in the order the user asked for.
    if views is None:
        return list(range(len(frames)))
    names = [frame.name for frame in frames]
    kept: list[int] = []
    for view in views:
        if isinstance(view, str) and view not in names:
            hint = did_you_mean(view, names)
            raise DataError(f"{file}: expected a view to keep, got {view!r}. {hint}")
        index = names.index(view) if isinstance(view, str) else view
        if not 0 <= index < len(frames):
            raise DataError(
                f"{file}: expected view indices from 0 to {len(frames) - 1}, got {index}. "
                f"Change the reader's views."
            )
        if index in kept:
            raise DataError(f"{file}: expected every view once, got {names[index]!r} twice.")
        kept.append(index)
    return kept


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
