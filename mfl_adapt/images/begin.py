"""The one door by which a reader's pictures come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras.lens import check_lens, is_straight
from mfl_adapt.cameras.limits import check_limits
from mfl_adapt.cameras.projection import off_rotation
from mfl_adapt.errors import DataError
from mfl_adapt.images.digest import digest_views
from mfl_adapt.images.lens import straighten
from mfl_adapt.images.warp import to_rows
from mfl_adapt.types import Provenance, Sample, View

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float, RawCamera

# Largest departure from orthonormality that is rounding in a text file and no mistake.
_RIGID = 1e-4
# Rotations this near are left bit for bit. Those of float32 files depart by about 1e-7, and that
# would show as skew once a camera is turned.
_ROUNDED = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RawView:
    """A picture as it was recorded, with the recording's camera.

    Attributes:
        name: Name of the view, unique in its sample.
        rgb: Straight sRGB colour, [H, W, 3] uint8 or uint16.
        mask: Alpha, [H, W] uint8; None where nobody made one yet.
        camera: As calibrated, lens included.
        source: Where the picture came from, for messages.
    """

    name: str
    rgb: Bytes
    mask: Bytes | None
    camera: RawCamera
    source: str = ""


def begin_sample(
    id: str,
    views: Sequence[RawView],
    *,
    step: str,
    params: Mapping[str, Any],
    session: str = "",
    animal: str = "",
    time_s: float | None = None,
    history: Sequence[Provenance] = (),
    order: Sequence[int] = (),
    pixel_maps: Sequence[Float] = (),
) -> Sample:
    """Check raw views, undo their lenses exactly once, and begin the sample's history.

    Focal lengths, principal point and size of a view stay as calibrated; skew goes with the lens.
    Rotations that are off by rounding are replaced by the nearest rotation.

    Args:
        id: Name of the sample, unique in its dataset.
        views: What was recorded.
        step: The reader, as ``plugin.component``.
        params: Its settings and what it measured, plain JSON values.
        session: Recording the sample belongs to.
        animal: Individual it shows.
        time_s: Time within the session in seconds.
        history: Steps of an earlier preparation that a stored sample carries. Then the raw
            cameras are those of that history, and the new step names none.
        order: With a history: per view, its index among the history's views; empty means all.
        pixel_maps: With a history: per view, 3x3 from the history's pixels to those of the files;
            empty where the files were not touched.

    Returns:
        A sample of pinhole views in the raw world.

    Raises:
        DataError: If there is no view, two share a name, a number is not finite, a rotation is
            not one, a size differs from its camera's, or a lens model cannot be inverted. The
            message names the view's source.
    """
    _check_names(id, views)
    cameras = tuple(_checked(view, _where(id, view)) for view in views)
    begun = tuple(
        _pinhole(view, camera, _where(id, view))
        for view, camera in zip(views, cameras, strict=True)
    )
    first = Provenance(
        step=step, params=dict(params), digest=digest_views(begun), raw_cameras=cameras
    )
    if history:
        maps = tuple(to_rows(pixel_map) for pixel_map in pixel_maps)
        first = replace(first, raw_cameras=(), order=tuple(order), pixel_maps=maps)
    return Sample(
        id=id,
        views=begun,
        provenance=(*history, first),
        session=session,
        animal=animal,
        time_s=time_s,
    )


def _where(id: str, view: RawView) -> str:
    return view.source or f"{id}/{view.name}"


def _pinhole(view: RawView, camera: RawCamera, where: str) -> View:
    rgb, mask = view.rgb, view.mask
    if not is_straight(camera):
        rgb, mask = straighten(rgb, mask, camera, where)
    return View(
        name=view.name,
        rgb=rgb,
        mask=mask,
        c2w=np.array(camera.c2w),
        fxfycxcy=np.array(camera.fxfycxcy),
        source=view.source,
    )


def _check_names(id: str, views: Sequence[RawView]) -> None:
    if not views:
        raise DataError(f"sample {id}: expected at least one view, got none.")
    names = [view.name for view in views]
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise DataError(f"sample {id}: expected every view once, got {twice[0]!r} twice.")


def _checked(view: RawView, where: str) -> RawCamera:
    # Once it is known to fit the picture; its rotation is made exact.
    camera = view.camera
    _check_picture(view, where)
    check_lens(camera, where)
    _check_numbers(camera, where)
    if not (camera.fxfycxcy[0] > 0 and camera.fxfycxcy[1] > 0):
        raise DataError(
            f"{where}: expected positive focal lengths, got {camera.fxfycxcy[0]:g} and "
            f"{camera.fxfycxcy[1]:g}. A mirrored camera has no picture; check the calibration."
        )
    check_limits(camera, where)
    pose = _rigid(np.array(camera.c2w, np.float64), where)
    first, second, third, last = ((float(a), float(b), float(c), float(d)) for a, b, c, d in pose)
    fx, fy, cx, cy = (float(value) for value in camera.fxfycxcy)
    return replace(
        camera,
        c2w=(first, second, third, last),
        fxfycxcy=(fx, fy, cx, cy),
        distortion=tuple(float(value) for value in camera.distortion),
        skew=float(camera.skew),
    )


def _check_picture(view: RawView, where: str) -> None:
    rgb, mask, size = view.rgb, view.mask, [view.camera.height, view.camera.width]
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{where}: expected a colour picture [H, W, 3] of 8 or 16 bits, got "
            f"{list(rgb.shape)} {rgb.dtype}."
        )
    if list(rgb.shape[:2]) != size:
        raise DataError(
            f"{where}: expected a picture of the camera's height and width {size}, got "
            f"{list(rgb.shape[:2])}. It was cropped or resized without its camera; take the "
            f"original picture, or the calibration of this one.",
            code="MFL015",
        )
    if mask is not None and (list(mask.shape) != size or mask.dtype != np.uint8):
        raise DataError(
            f"{where}: expected a mask like the picture, {size} uint8, got {list(mask.shape)} "
            f"{mask.dtype}. Make the mask from this very picture."
        )


def _check_numbers(camera: RawCamera, where: str) -> None:
    if np.shape(camera.c2w) != (4, 4) or len(camera.fxfycxcy) != 4:
        raise DataError(
            f"{where}: expected c2w of 4 x 4 numbers and 4 intrinsics, got "
            f"{list(np.shape(camera.c2w))} and {len(camera.fxfycxcy)}."
        )
    named = {
        "pose": camera.c2w,
        "intrinsics": camera.fxfycxcy,
        "distortion": camera.distortion,
        "skew": camera.skew,
    }
    for name, values in named.items():
        if not np.isfinite(np.asarray(values, np.float64)).all():
            raise DataError(
                f"{where}: expected finite numbers in the camera's {name}, got NaN or an "
                f"infinity. Calibrate again or leave this view out."
            )


def _rigid(c2w: Float, where: str) -> Float:
    rotation = c2w[:3, :3]
    error = off_rotation(rotation)
    if error > _RIGID or np.abs(c2w[3] - [0, 0, 0, 1]).max() > _RIGID:
        raise DataError(
            f"{where}: expected a rotation and a translation, got rows that are off orthonormal "
            f"by {error:.2g}. Scale belongs into the translation; the last row is 0 0 0 1.",
            code="MFL003",
        )
    if np.linalg.det(rotation) < 0:
        raise DataError(
            f"{where}: expected a rotation with det +1, got det -1. One axis is mirrored; rebuild "
            f"the pose with right x down = forward.",
            code="MFL003",
        )
    if error <= _ROUNDED:
        return c2w
    left, _, right = np.linalg.svd(rotation)
    exact = c2w.copy()
    exact[:3, :3] = left @ right
    return exact
