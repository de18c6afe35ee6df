"""From numpy samples to the tensors of one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.images import composite
from mfl_adapt.types import Batch, Cameras, ViewBatch

if TYPE_CHECKING:
    from torch import Tensor

    from mfl_adapt.types import RigContract, Sample, View, ViewSplit


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
    pictures = [[_picture(view, contract.background) for view in views] for views in chosen]
    # Channels last to channels first; the fourth channel is the mask.
    pixels = _stack(pictures).permute(0, 1, 4, 2, 3)
    rgb, mask = pixels[:, :, :3].contiguous(), pixels[:, :, 3:].contiguous()
    return ViewBatch(rgb=rgb, mask=mask, cameras=cameras)


def _stack(rows: list[list[np.ndarray]]) -> Tensor:
    return torch.from_numpy(np.stack([np.stack(row) for row in rows]).astype(np.float32))


def _picture(view: View, background: float) -> np.ndarray:
    # Composited colour and mask in [0, 1], [H, W, 4] float32.
    if view.mask is None:
        raise DataError(
            f"{view.source or view.name}: expected a mask of the animal, got none. "
            f"Run the sample through conform first."
        )
    colour = composite(view.rgb, view.mask, background)
    alpha = view.mask[:, :, None] / 255.0
    return np.concatenate([colour, alpha], axis=2, dtype=np.float32)
