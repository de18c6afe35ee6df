"""The doors through which a stage changes a sample; each writes one line of its history.

There is no way to move a picture without its mask and camera: ``warp_sample`` moves all three,
``replace_pixels`` moves nothing, and ``relabel_cameras`` says of itself that it is not exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mfl_adapt.cameras.similarity import move_cameras
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.images.digest import digest_views
from mfl_adapt.images.warp import oriented, to_rows, warp_view
from mfl_adapt.types import Provenance, Similarity

if TYPE_CHECKING:
    from mfl_adapt.types import Cameras, Float, Sample, View

_UNMOVED = Similarity()


def warp_sample(
    sample: Sample,
    *,
    step: str,
    params: Mapping[str, Any],
    pixel_maps: Sequence[Float] | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    world: Similarity = _UNMOVED,
    order: Sequence[int] | None = None,
    exact: bool = True,
    bits: Literal[8, 16] = 16,
) -> Sample:
    """Choose views, move picture, mask and camera of each by one map, and change the world.

    Pixels are averaged over their footprint where a map shrinks, and interpolated with a cubic
    where it does not; colours are weighted by the mask. What lies outside the old picture is
    outside the new mask; without a mask the nearest edge pixel is repeated. Without maps and
    sizes no pixel changes.

    Args:
        sample: It stays as it is.
        step: The stage, as ``plugin.component``.
        params: Its settings and what it measured, plain JSON values.
        pixel_maps: Per view of the new sample, 3x3 from old to new pixel coordinates, which a
            pinhole camera must be able to follow; None keeps every pixel where it is.
        sizes: Per view of the new sample, (height, width); None keeps the sizes.
        world: Old world to new world, the same for every camera.
        order: Per view of the new sample, its index in the old one; None keeps all.
        exact: False if picture and camera did not agree before this map in a way that ``params``
            explains.
        bits: 8 rounds 16-bit pictures to 8 bits; 16 leaves the kind as it is.

    Returns:
        A new sample with one more ``Provenance``.

    Raises:
        ShapeError: If the numbers of maps, sizes and views differ, or a map is not 3x3.
        RangeError: If an index is no view's or occurs twice, no camera can follow a map, or a
            size is not a picture's.
    """
    views = _choose(sample, order, step)
    for name, values in (("pixel_maps", pixel_maps), ("sizes", sizes)):
        if values is not None and len(values) != len(views):
            raise ShapeError(
                f"{step}: expected {name} of {len(views)} views, got {len(values)}. Give one for "
                f"each view that is kept."
            )
    sizes = sizes or [(view.height, view.width) for view in views]
    maps = [np.eye(3)] * len(views)
    if pixel_maps is not None:
        maps = [oriented(m, v.height, v.width) for m, v in zip(pixel_maps, views, strict=True)]
    moved = [
        replace(warped, c2w=move_cameras(world, warped.c2w))
        for warped in (
            warp_view(view, pixel_map, *size, bits)
            for view, pixel_map, size in zip(views, maps, sizes, strict=True)
        )
    ]
    record = Provenance(
        step=step,
        params=dict(params),
        pixel_maps=() if pixel_maps is None else tuple(to_rows(one) for one in maps),
        world=world,
        order=() if order is None else tuple(int(index) for index in order),
        exact=exact,
    )
    return _append(sample, moved, record)


def replace_pixels(
    sample: Sample, views: Sequence[View], *, step: str, params: Mapping[str, Any]
) -> Sample:
    """Take over views whose colours or masks changed while nothing moved.

    Args:
        sample: It stays as it is.
        views: The same views with other colours or masks, in the same order.
        step: The stage, as ``plugin.component``.
        params: Its settings and what it measured, plain JSON values.

    Returns:
        A new sample with one more ``Provenance``.

    Raises:
        ShapeError: If the number of views, a picture size or the shape of a mask differs.
        RangeError: If a name or a camera differs.
    """
    if len(views) != len(sample.views):
        raise ShapeError(f"{step}: expected {len(sample.views)} views, got {len(views)}.")
    for old, new in zip(sample.views, views, strict=True):
        if new.rgb.shape != old.rgb.shape:
            raise ShapeError(
                f"{step}: expected view {old.name} of {list(old.rgb.shape)}, got "
                f"{list(new.rgb.shape)}. Use warp_sample to change a picture's size."
            )
        if new.mask is not None and new.mask.shape != new.rgb.shape[:2]:
            raise ShapeError(
                f"{step}: expected a mask of {list(new.rgb.shape[:2])} for view {old.name}, got "
                f"{list(new.mask.shape)}."
            )
        same = np.array_equal(old.c2w, new.c2w) and np.array_equal(old.fxfycxcy, new.fxfycxcy)
        if new.name != old.name or not same:
            raise RangeError(
                f"{step}: expected view {old.name} with its camera unchanged, got {new.name} with "
                f"{'the same' if same else 'another'} camera. Use warp_sample to move pixels."
            )
    return _append(sample, views, Provenance(step=step, params=dict(params)))


def relabel_cameras(
    sample: Sample,
    cameras: Cameras,
    *,
    step: str,
    params: Mapping[str, Any],
    world: Similarity = _UNMOVED,
) -> Sample:
    """Give views other cameras while their pixels stay; the history says that it is not exact.

    Args:
        sample: It stays as it is.
        cameras: One camera per view, in the new world.
        step: The stage, as ``plugin.component``.
        params: Its settings and the bound of the error, plain JSON values.
        world: Old world to new world, as far as one similarity tells.

    Returns:
        A new sample with one more ``Provenance``, whose ``exact`` is False.

    Raises:
        ShapeError: If the number of cameras or their picture size differs from the views'.
    """
    if cameras.shape != (len(sample.views),):
        raise ShapeError(
            f"{step}: expected {len(sample.views)} cameras, got {list(cameras.shape)}."
        )
    views = []
    for index, view in enumerate(sample.views):
        if (view.height, view.width) != (cameras.height, cameras.width):
            raise ShapeError(
                f"{step}: expected cameras of view {view.name}'s size [{view.height}, "
                f"{view.width}], got [{cameras.height}, {cameras.width}]. Warp the pictures to "
                f"one size first."
            )
        pose, intrinsics = np.array(cameras.c2w[index]), np.array(cameras.fxfycxcy[index])
        views.append(replace(view, c2w=pose, fxfycxcy=intrinsics))
    record = Provenance(step=step, params=dict(params), world=world, exact=False)
    return _append(sample, views, record)


def _append(sample: Sample, views: Sequence[View], record: Provenance) -> Sample:
    done = replace(record, digest=digest_views(views))
    return replace(sample, views=tuple(views), provenance=(*sample.provenance, done))


def _choose(sample: Sample, order: Sequence[int] | None, step: str) -> list[View]:
    if order is None:
        return list(sample.views)
    count = len(sample.views)
    if not order or len(set(order)) < len(order) or not all(0 <= i < count for i in order):
        raise RangeError(
            f"{step}: expected an order of different view indices from 0 to {count - 1}, got "
            f"{[int(index) for index in order]}."
        )
    return [sample.views[index] for index in order]
