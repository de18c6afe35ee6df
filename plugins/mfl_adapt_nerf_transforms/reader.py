"""Reads the scenes of a NeRF dataset."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.files import read_json
from mfl_adapt.images import (
    Picture,
    RawView,
    begin_sample,
    choose_views,
    load_mask,
    load_picture,
)
from mfl_adapt.types import RawCamera, Sample

from .config import TransformsConfig
from .discover import find_scenes
from .frames import Frame, read_frames, view_names
from .lenses import read_lens

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

STEP = "nerf_transforms.transforms"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sample lies: some frames of a camera file.

    Attributes:
        id: Name of the sample.
        file: Camera file.
        frames: Its views.
        session: The scene, where its frames have times.
        time: As in the file.
        notes: What the file says about its world, for the record.
    """

    id: str
    file: Path
    frames: tuple[Frame, ...]
    session: str
    time: float | None
    notes: dict[str, Any]


class TransformsReader:
    """Scenes described by ``transforms.json``.

    Convention of the files: camera to world, OpenGL camera axes (x right, y up, z back), which
    become OpenCV's; a world with +z up, as Blender and nerfstudio have it, in arbitrary units,
    which stays as it is; pixels counted from the upper left corner, so centres at +0.5 as ours.
    A world that nerfstudio has turned (``applied_transform``) stays turned, and the record says so.

    One file is one sample with all its frames as views; where the frames carry a ``time``, those
    of one time are one sample. Lens distortion is undone once, on reading. Every problem is a
    ``DataError`` that names the file; no frame is ever left out.
    """

    def __init__(self, config: TransformsConfig) -> None:
        """Find the scenes and check their camera files; pictures are read when asked for.

        Raises:
            ConfigError: If there is no path.
            DataError: If the path holds no scene, or a camera file is broken.
        """
        if config.path is None:
            raise ConfigError(
                f"{STEP}: expected a dataset under data.path, got none. Name it with --data PATH."
            )
        self._config = config
        scenes = find_scenes(config.path, config.file)
        self._places = [place for scene in scenes for place in _places(scene.id, scene.file)]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._places)

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in their fixed order."""
        return (self._read(place) for place in self._places)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: If one of its files is missing, damaged or contradicts another.
        """
        return self._read(self._places[index])

    def _read(self, place: _Place) -> Sample:
        names = view_names(place.frames, place.file.parent)
        kept = choose_views(names, self._config.views, str(place.file))
        params = {
            "camera_file": place.file.name,
            "camera_axes": "opengl",
            "pixel_centers": 0.5,
            "mask": self._config.mask,
            **place.notes,
        }
        return begin_sample(
            place.id,
            [self._view(place.frames[index], names[index]) for index in kept],
            step=STEP,
            params=params,
            session=place.session,
            time_s=None if place.time is None else place.time * self._config.time_unit_s,
        )

    def _view(self, frame: Frame, name: str) -> RawView:
        picture = load_picture(frame.picture, self._config.bits)
        lens = read_lens(frame.keys, picture.rgb.shape[:2])
        camera = RawCamera(
            c2w=_rows(frame),
            fxfycxcy=lens.fxfycxcy,
            height=lens.height,
            width=lens.width,
            lens=lens.lens,
            distortion=lens.distortion,
        )
        mask = self._mask(frame, picture)
        return RawView(name, picture.rgb, mask, camera, source=str(frame.picture))

    def _mask(self, frame: Frame, picture: Picture) -> "Bytes | None":
        kind = self._config.mask
        if kind == "none":
            return None
        if kind != "alpha" and frame.mask is not None:
            return load_mask(frame.mask)
        found = None if kind == "mask_path" else picture.mask
        if found is None and kind != "auto":
            what = "a mask_path" if kind == "mask_path" else "an alpha channel"
            raise DataError(
                f"{frame.keys.where}: expected {what} that gives the mask, got none. Add it, or "
                f"set mask: none and add preprocess.auto_mask."
            )
        return found


def _places(scene: str, file: Path) -> list[_Place]:
    """Samples of one camera file, in the order of time."""
    content = read_json(file, advice="Check data.path.")
    frames = read_frames(file, content)
    notes = {key: content[key] for key in ("applied_transform", "applied_scale") if key in content}
    groups: dict[float | None, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.time, []).append(frame)
    if None in groups:
        return [_Place(scene, file, tuple(frames), "", None, notes)]
    ordered = sorted((time, group) for time, group in groups.items() if time is not None)
    return [
        _Place(f"{scene}/t{index:06d}", file, tuple(group), scene, time, {**notes, "time": time})
        for index, (time, group) in enumerate(ordered)
    ]


def _rows(frame: Frame) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in frame.c2w)
