"""The fixed last step before tensors: every view gets the contract's picture size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import resize_map, warp_sample

if TYPE_CHECKING:
    from mfl_adapt.types import RigContract, Sample, View


def conform(sample: Sample, contract: RigContract, size: int | None = None) -> Sample:
    """Resize picture, mask and camera of every view together.

    Pictures of 16 bits become 8-bit ones here. Colour stays straight: the background is put
    behind it in ``collate``, so that masks remain usable until then.

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
            f"got {side}. Change the size in the run configuration.",
            code="MFL046",
        )
    if not sample.views:
        raise DataError(f"sample {sample.id}: expected at least one view, got none.")
    for view in sample.views:
        _check_square(view, sample)
        _check_mask(view, sample)
    return warp_sample(
        sample,
        step="conform",
        params={"size": side},
        pixel_maps=[resize_map((v.height, v.width), (side, side)) for v in sample.views],
        sizes=[(side, side)] * len(sample.views),
        bits=8,
    )


def _check_square(view: View, sample: Sample) -> None:
    if view.height != view.width:
        raise DataError(
            f"{view.source or f'{sample.id}/{view.name}'}: expected a square picture, got "
            f"[{view.height}, {view.width}]. Cut a square and subtract its corner from cx and cy, "
            f"or set a camera normalizer in data.cameras.",
            code="MFL048",
        )


def _check_mask(view: View, sample: Sample) -> None:
    if view.mask is None:
        raise DataError(
            f"{view.source or f'{sample.id}/{view.name}'}: expected a mask of the animal, got "
            f"none. Add preprocess.auto_mask to data.preprocess, or give the picture an alpha "
            f"channel.",
            code="MFL049",
        )
