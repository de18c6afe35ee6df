"""From numpy samples to the tensors of one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch

from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.images import composite
from mfl_adapt.types import Batch, Cameras, ViewBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mfl_adapt.types import RigContract, Sample, View, ViewSplit


# Pixels below which starting threads takes longer than they save.
_WORTH_THREADS = 2**20


def collate(samples: Sequence[Sample], splits: Sequence[ViewSplit], contract: RigContract) -> Batch:
    """Stack samples into one batch, composited on the contract's background.

    Args:
        samples: Conformed samples of one picture size.
        splits: One per sample: which views are inputs and which are targets.
        contract: Rig contract of the base.

    Returns:
        A batch on the CPU in float32.

    Raises:
        ShapeError: If samples differ in picture size or in the number of inputs or targets.
        DataError: If a view has no mask.
    """
    if not samples or len(samples) != len(splits):
        raise ShapeError(
            f"collate: expected one view split per sample and at least one sample, got "
            f"{len(samples)} samples and {len(splits)} splits."
        )
    inputs = [split.inputs for split in splits]
    targets = [split.targets for split in splits]
    return Batch(
        ids=tuple(sample.id for sample in samples),
        inputs=collate_views(samples, inputs, contract),
        targets=collate_views(samples, targets, contract),
    )


def collate_views(
    samples: Sequence[Sample], indices: Sequence[Sequence[int]], contract: RigContract
) -> ViewBatch:
    """Stack the chosen views of samples.

    Args:
        samples: Conformed samples of one picture size, B of them.
        indices: Per sample, V indices of its views.
        contract: Rig contract of the base.

    Returns:
        rgb [B, V, 3, H, W], mask [B, V, 1, H, W] and cameras [B, V], float32 on the CPU.

    Raises:
        ShapeError: If samples differ in picture size or in the number of chosen views.
        DataError: If a view has no mask.
    """
    counts = sorted({len(chosen) for chosen in indices})
    if len(counts) != 1 or counts[0] == 0:
        raise ShapeError(
            f"collate: expected the same number of views, at least one, from every sample of a "
            f"batch, got {counts}. Choose a view policy with fixed counts, or batch 1."
        )
    chosen = [
        [sample.views[i] for i in picks] for sample, picks in zip(samples, indices, strict=True)
    ]
    sizes = sorted({(view.height, view.width) for views in chosen for view in views})
    if len(sizes) != 1:
        raise ShapeError(
            f"collate: expected pictures of one size, got {[list(size) for size in sizes]}. "
            f"Run the samples through conform first."
        )
    height, width = sizes[0]
    cameras = Cameras(
        c2w=_stack([[view.c2w for view in views] for views in chosen]),
        fxfycxcy=_stack([[view.fxfycxcy for view in views] for views in chosen]),
        height=height,
        width=width,
    )
    rgb = np.empty((len(chosen), counts[0], 3, height, width), np.float32)
    mask = np.empty((len(chosen), counts[0], 1, height, width), np.float32)
    pictures = list(chain.from_iterable(chosen))
    fill = partial(_fill, contract.background)
    _spread(fill, pictures, rgb.reshape(-1, 3, height, width), mask.reshape(-1, height, width))
    return ViewBatch(rgb=torch.from_numpy(rgb), mask=torch.from_numpy(mask), cameras=cameras)


def _stack(rows: list[list[np.ndarray]]) -> Tensor:
    return torch.from_numpy(np.stack([np.stack(row) for row in rows]).astype(np.float32))


def _spread(
    fill: Callable[[View, NDArray[np.float32], NDArray[np.float32]], None],
    views: Sequence[View],
    rgb: NDArray[np.float32],
    mask: NDArray[np.float32],
) -> None:
    """Fill pictures [N, ...], several at a time where there is enough to do.

    A picture of 512 px takes two milliseconds, in which numpy lets other threads run; beside a fast
    GPU sixteen of them, one by one, would be felt.
    """
    threads = min(torch.get_num_threads(), len(views))
    if threads < 2 or mask.size < _WORTH_THREADS:
        for one in zip(views, rgb, mask, strict=True):
            fill(*one)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="mfl_adapt.collate") as pool:
        for _ in pool.map(fill, views, rgb, mask):
            pass


def _fill(
    background: float, view: View, rgb: NDArray[np.float32], mask: NDArray[np.float32]
) -> None:
    """Write composited colour [3, H, W] and mask [H, W], both in [0, 1].

    Raises:
        DataError: If the view has no mask.
    """
    if view.mask is None:
        raise DataError(
            f"{view.source or view.name}: expected a mask of the animal, got none. "
            f"Run the sample through conform first."
        )
    # In training this runs for every picture of every step. Looked up instead of computed, the
    # same numbers take a fifth of the time. With another mode numpy would copy the output.
    np.take(_alphas(), view.mask, out=mask, mode="clip")
    if view.rgb.dtype != np.uint8:
        rgb[:] = composite(view.rgb, view.mask, background).transpose(2, 0, 1)
        return
    table = _composited(background)
    for channel in range(3):
        place = view.rgb[:, :, channel].astype(np.uint16) << 8 | view.mask
        np.take(table, place, out=rgb[channel], mode="clip")


@lru_cache(maxsize=4)
def _composited(background: float) -> NDArray[np.float32]:
    """What ``composite`` makes of every colour under every mask, at 256 * colour + mask."""
    values = np.arange(256, dtype=np.uint8)
    colours = np.broadcast_to(values[:, None, None], (256, 256, 3))
    made = composite(colours, np.broadcast_to(values, (256, 256)), background)
    return made[:, :, 0].astype(np.float32).ravel()


@lru_cache(maxsize=1)
def _alphas() -> NDArray[np.float32]:
    """Mask in [0, 1] of every mask of 8 bits."""
    return (np.arange(256) / 255.0).astype(np.float32)
