"""The fixed last step before tensors: every view gets the contract's picture size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import digest_views, resize_map, warp_view
from mfl_adapt.types import Provenance

if TYPE_CHECKING:
    from mfl_adapt.types import RigContract, Sample, View


def conform(sample: Sample, contract: RigContract, size: int | None = None) -> Sample:
    """Resize picture, mask and camera of every view together.

    Colour stays straight: the background is put behind it in ``collate``, so that masks remain
    usable until then.

    Args:
        sample: Square views with masks, of any size; it stays as it is.
        contract: Rig contract of the base.
        size: Side of the new pictures in pixels; None takes the contract's.

    Returns:
        A sample whose views all measure ``size``, with one more ``Provenance``.

    Raises:
        DataError: If the sample has no view, or a view is not square or has no mask.
        RangeError: If the size is not a positive multiple of the contract's patch.
    """
    side = contract.size if size is None else size
    if side < 1 or side % contract.patch:
        raise RangeError(
            f"conform: expected a picture size that is a multiple of the patch {contract.patch}, "
            f"got {side}. Change the size in the run configuration."
        )
    if not sample.views:
        raise DataError(f"sample {sample.id}: expected at least one view, got none.")
    for view in sample.views:
        _check_square(view, sample)
        _check_mask(view, sample)
    maps = [resize_map((view.height, view.width), (side, side)) for view in sample.views]
    views = tuple(
        warp_view(view, pixel_map, side, side)
        for view, pixel_map in zip(sample.views, maps, strict=True)
    )
    step = Provenance(
        step="conform",
        params={"size": side},
        digest=digest_views(views),
        pixel_maps=tuple(tuple(tuple(row) for row in pixel_map.tolist()) for pixel_map in maps),
    )
    return replace(sample, views=views, provenance=(*sample.provenance, step))


def _check_square(view: View, sample: Sample) -> None:
    if view.height != view.width:
        raise DataError(
            f"{view.source or f'{sample.id}/{view.name}'}: expected a square picture, got "
            f"[{view.height}, {view.width}]. Cut a square and subtract its corner from cx and cy, "
            f"or set a camera normalizer in data.cameras."
        )


def _check_mask(view: View, sample: Sample) -> None:
    if view.mask is None:
        raise DataError(
            f"{view.source or f'{sample.id}/{view.name}'}: expected a mask of the animal, got "
            f"none. Add preprocess.auto_mask to data.preprocess, or give the picture an alpha "
            f"channel."
        )
