"""Camera normalizers that the field uses and that are not exact, to compare with.

Each takes a sample in raw units and returns square views of one size. Pictures and cameras that
come out of ``crop_square`` agree; what the others then claim about the cameras does not, and their
history says so. Nothing outside of the benchmarks uses them. As a single-file plugin
(``--plugins benchmarks/legacy_normalizers.py``) they can stand in a configuration, after
``crop_square`` or alone.

- N1: world scaled about the calibration's origin to a mean distance of 2.7; intrinsics overwritten
  by those of a 50 degree lens.
- N2: world moved to where the optical axes meet and scaled to a mean distance of 2.7; intrinsics
  as they are.
- N5: every camera moved on its own along the line to the origin, to a distance of 2.7.
- S5: every picture zoomed and shifted on its own until the mask is centred and of one size;
  cameras as they are. It needs a method for the cameras beside it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mfl_adapt.cameras import (
    FACELIFT_DISTANCE,
    FACELIFT_FOCAL_RATIO,
    nearest_point,
    similarity,
)
from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground, relabel_cameras, warp_sample
from mfl_adapt.plugin import (
    CameraNormalizerSpec,
    ComponentConfig,
    PreprocessorSpec,
    Spec,
    Stage,
    hookimpl,
)
from mfl_adapt.types import Cameras, Sample, Similarity

MFL_API = 1
TARGET_SIZE_RATIO = 0.3


def crop_square(sample: Sample, size: int) -> Sample:
    """Cut the central square out of every view and resize it, cameras along; exact."""
    maps = []
    for view in sample.views:
        side = min(view.height, view.width)
        scale = size / side
        left, top = (view.width - side) / 2, (view.height - side) / 2
        maps.append(np.array([[scale, 0, -scale * left], [0, scale, -scale * top], [0, 0, 1]]))
    sizes = [(size, size)] * len(maps)
    return warp_sample(
        sample, step="legacy.crop_square", params={"size": size}, pixel_maps=maps, sizes=sizes
    )


def scale_to_origin(sample: Sample, size: int) -> Sample:
    """N1: scale about the calibration's origin, and overwrite the intrinsics."""
    square = crop_square(sample, size)
    world = _scaled_about(square.cameras, np.zeros(3))
    fxfycxcy = np.full((len(square.views), 4), size / 2.0)
    fxfycxcy[:, :2] = FACELIFT_FOCAL_RATIO * size
    c2w = similarity.move_cameras(world, square.cameras.c2w)
    return _relabel(square, "N1", Cameras(c2w, fxfycxcy, size, size), world)


def recenter_on_axes(sample: Sample, size: int) -> Sample:
    """N2: recentre where the optical axes meet and scale; exact, but about the wrong point."""
    square = crop_square(sample, size)
    cameras = square.cameras
    meeting = nearest_point(cameras.centers, cameras.forward, np.ones(len(cameras)))
    world = _scaled_about(cameras, meeting)
    params = {"center": meeting.tolist(), "scale": world.scale}
    return warp_sample(square, step="legacy.N2", params=params, world=world)


def rescale_each_camera(sample: Sample, size: int) -> Sample:
    """N5: move every camera along its own line to the origin until it is at 2.7.

    As in the field the cameras first go through N2, without which N5 sees raw units.
    """
    return _pull_to_distance(recenter_on_axes(sample, size))


def zoom_each_view(sample: Sample, size: int) -> Sample:
    """S5 on top of N2: centre and zoom every picture by its mask, cameras left as they are.

    Raises:
        DataError: If a mask is missing or empty.
    """
    square = recenter_on_axes(sample, size)
    maps = []
    for view in square.views:
        foreground = None if view.mask is None else measure_foreground(view.mask)
        if foreground is None or foreground.centroid is None:
            raise DataError(f"{sample.id}/{view.name}: expected a mask, got none. Add masks.")
        scale = TARGET_SIZE_RATIO / np.sqrt(foreground.share)
        x, y = size / 2 - scale * foreground.centroid
        maps.append(np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]]))
    zoomed = warp_sample(square, step="legacy.S5", params={"size": size}, pixel_maps=maps)
    return _relabel(zoomed, "S5", square.cameras)


def _scaled_about(cameras: Cameras, center: np.ndarray) -> Similarity:
    scale = FACELIFT_DISTANCE / np.linalg.norm(cameras.centers - center, axis=1).mean()
    return similarity.from_parts(scale, np.eye(3), -scale * center)


def _pull_to_distance(sample: Sample) -> Sample:
    c2w = sample.cameras.c2w.copy()
    factors = FACELIFT_DISTANCE / np.linalg.norm(c2w[:, :3, 3], axis=1)
    c2w[:, :3, 3] *= factors[:, None]
    return _relabel(sample, "N5", replace(sample.cameras, c2w=c2w), factors=factors.tolist())


def _relabel(
    sample: Sample, name: str, cameras: Cameras, world: Similarity | None = None, **measured: object
) -> Sample:
    return relabel_cameras(
        sample,
        cameras,
        step=f"legacy.{name}",
        params={"bound": None, **measured},
        world=world or Similarity(),
    )


Method = Callable[[Sample, int], Sample]

LEGACY: dict[str, Method] = {
    "N1": scale_to_origin,
    "N2": recenter_on_axes,
    "N5": rescale_each_camera,
    "S5": zoom_each_view,
}
"""Methods by the name they have in the benchmark's table; called with a sample and a size."""


class SizeConfig(ComponentConfig):
    """Settings of every method: side of the new pictures in pixels."""

    size: int = 512


def _builder(method: Method) -> Callable[[SizeConfig], Stage]:
    # What a component is built by: settings in, stage out.
    return lambda config: lambda sample: method(sample, config.size)


build_crop = _builder(crop_square)
build_n1, build_n2, build_n5, build_s5 = (_builder(method) for method in LEGACY.values())


@hookimpl
def register_components() -> list[Spec]:
    """Offer the methods by their names."""
    crop = PreprocessorSpec(
        name="crop_square",
        summary=_summary(crop_square),
        config=SizeConfig,
        build=f"{__name__}:build_crop",
    )
    methods = [
        CameraNormalizerSpec(
            name=name,
            summary=_summary(method),
            config=SizeConfig,
            build=f"{__name__}:build_{name.lower()}",
        )
        for name, method in LEGACY.items()
    ]
    return [crop, *methods]


def _summary(method: Method) -> str:
    return str(method.__doc__).splitlines()[0]
