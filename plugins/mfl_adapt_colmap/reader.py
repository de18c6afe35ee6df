"""Reads COLMAP's reconstructions."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras.limits import LARGEST
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import (
    Picture,
    RawView,
    alpha_of,
    begin_sample,
    choose_views,
    load_mask,
    load_picture,
)
from mfl_adapt.types import RawCamera, Sample

from .config import SparseConfig
from .discover import Scene, find_scenes
from .lenses import ModelCamera, to_opencv
from .model import ModelImage, read_model

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

STEP = "colmap.sparse"
# COLMAP writes unit quaternions with 6 or 17 digits.
_UNIT = 1e-3


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sample lies: some pictures of a reconstruction.

    Attributes:
        id: Name of the sample.
        scene: The reconstruction.
        images: Pictures, sorted by name.
        names: Their names as views.
        cameras: Cameras of the model.
        session: The reconstruction, where it holds several samples.
    """

    id: str
    scene: Scene
    images: tuple[ModelImage, ...]
    names: tuple[str, ...]
    cameras: dict[int, ModelCamera]
    session: str


class SparseReader:
    """Registered pictures of COLMAP with their cameras.

    Convention of the files: quaternion w x y z and translation from world to camera, OpenCV axes;
    the centre of the upper left pixel is (0.5, 0.5), as ours. The world's scale and rotation are
    arbitrary, since COLMAP cannot know them: its unit is not a length and no axis points up. So
    set ``facelift_cameras.up_axis`` to the direction that is up, and let a camera normalizer scale.

    Lens distortion is undone once, on reading. Every problem is a ``DataError`` that names the
    file; pictures that COLMAP could not register are in no file and in no sample.
    """

    def __init__(self, config: SparseConfig) -> None:
        """Find the reconstructions and read their models; pictures are read when asked for.

        Raises:
            ConfigError: If there is no path.
            DataError: If the path holds no reconstruction, or a model is broken.
        """
        if config.path is None:
            raise ConfigError(
                f"{STEP}: expected a dataset under data.path, got none. Name it with --data PATH."
            )
        self._config = config
        scenes = find_scenes(config.path, config.model)
        self._places = [place for scene in scenes for place in _places(scene, config.samples)]

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
        kept = choose_views(place.names, self._config.views, f"sample {place.id}")
        params = {
            "model": place.scene.model.relative_to(place.scene.folder).as_posix(),
            "camera_axes": "opencv",
            "pixel_centers": 0.5,
            "world": "arbitrary scale and rotation",
            "mask": self._config.mask,
            "samples": self._config.samples,
        }
        views = [self._view(place, index) for index in kept]
        return begin_sample(place.id, views, step=STEP, params=params, session=place.session)

    def _view(self, place: _Place, index: int) -> RawView:
        image = place.images[index]
        path = place.scene.folder / self._config.images / image.name
        if not path.is_file():
            raise DataError(
                f"{image.where}: expected the picture {path}, got no such file. Set the reader's "
                f"images to the folder that COLMAP read."
            )
        picture = load_picture(path, self._config.bits)
        camera = place.cameras[image.camera_id]
        fxfycxcy, lens, distortion = to_opencv(camera)
        raw = RawCamera(
            c2w=_pose(image),
            fxfycxcy=fxfycxcy,
            height=camera.height,
            width=camera.width,
            lens=lens,
            distortion=distortion,
        )
        mask = self._mask(place.scene, image.name, picture, path)
        return RawView(place.names[index], picture.rgb, mask, raw, source=str(path))

    def _mask(self, scene: Scene, name: str, picture: Picture, path: Path) -> "Bytes | None":
        kind = self._config.mask
        folder = scene.folder / self._config.masks
        if kind == "none":
            return None
        if kind == "folder" or (kind == "auto" and folder.is_dir()):
            return load_mask(folder / f"{name}.png")
        return alpha_of(picture, path) if kind == "alpha" else picture.mask


def _places(scene: Scene, samples: str) -> list[_Place]:
    """Samples of one reconstruction, sorted by name."""
    cameras, images = read_model(scene.model)
    paths = [PurePosixPath(image.name) for image in images]
    if samples == "one":
        names = _unique([_joined(path.with_suffix("")) for path in paths], images)
        return [_Place(scene.id, scene, tuple(images), names, cameras, "")]
    groups: dict[str, list[ModelImage]] = {}
    for path, image in zip(paths, images, strict=True):
        key = path.parent.as_posix() if samples == "folder" else path.stem
        groups.setdefault(key, []).append(image)
    if samples == "name":
        _check_complete(scene, groups)
    places = []
    for key, group in sorted(groups.items()):
        members = [PurePosixPath(image.name) for image in group]
        shown = [path.stem if samples == "folder" else _joined(path.parent) for path in members]
        names = _unique(shown, group)
        places.append(_Place(f"{scene.id}/{key}", scene, tuple(group), names, cameras, scene.id))
    return places


def _joined(path: PurePosixPath) -> str:
    return "_".join(part for part in path.parts if part not in ("..", "/"))


def _unique(names: Sequence[str], images: Sequence[ModelImage]) -> tuple[str, ...]:
    """Short names where they tell the pictures apart, else the pictures' own."""
    clear = all(names) and len(set(names)) == len(names)
    return tuple(names) if clear else tuple(image.name for image in images)


def _check_complete(scene: Scene, groups: dict[str, list[ModelImage]]) -> None:
    # A picture that COLMAP did not register would shorten one moment of a rig without a word.
    most = max(groups.values(), key=len)
    for key, group in groups.items():
        if len(group) < len(most):
            folders = [{PurePosixPath(i.name).parent.as_posix() for i in g} for g in (most, group)]
            missing = ", ".join(sorted(folders[0] - folders[1])) or "one"
            raise DataError(
                f"{scene.model}: expected {key} from {len(most)} cameras, got {len(group)}; "
                f"{missing} was not registered. Register it, or drop {key} from the model."
            )


def _pose(image: ModelImage) -> tuple[tuple[float, float, float, float], ...]:
    # Camera to world, row-major 4x4.
    quaternion, translation = np.array(image.quaternion), np.array(image.translation)
    # Squares of larger numbers overflow.
    small = (np.abs([*quaternion, *translation]) <= LARGEST).all()
    length = float(np.linalg.norm(quaternion)) if small else math.nan
    if not abs(length - 1.0) <= _UNIT:
        raise DataError(
            f"{image.where}: expected a unit quaternion and a finite translation, got length "
            f"{length:g} and {translation.tolist()}. Export the model again."
        )
    w, x, y, z = quaternion / length
    w2c = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])
    rows = np.column_stack([w2c.T, -w2c.T @ translation])
    return (
        *((float(a), float(b), float(c), float(d)) for a, b, c, d in rows),
        (0.0, 0.0, 0.0, 1.0),
    )
