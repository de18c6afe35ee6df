"""The parts of target views that losses look at: all that a step needs to render."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def boxes_around(mask: Tensor, reach_px: int = 0) -> Tensor:
    """Return the smallest box around each mask.

    Args:
        mask: [B, V, 1, H, W]; every pixel that is not 0 belongs to it.
        reach_px: Grow the boxes by so many pixels on each side, but not beyond the picture.

    Returns:
        First column and row, then one past the last of each, [B, V, 4] int64, as ``render`` takes
        them; four zeros for an empty mask.
    """
    kept = mask[:, :, 0] != 0
    left, right = _span(kept.any(dim=-2), reach_px)
    top, bottom = _span(kept.any(dim=-1), reach_px)
    return torch.stack([left, top, right, bottom], dim=-1)


def _span(kept: Tensor, reach_px: int) -> tuple[Tensor, Tensor]:
    """First place that is kept and one past the last, grown, of [B, V, N]; 0, 0 if none is."""
    size, some = kept.shape[-1], kept.any(dim=-1)
    number = kept.int()
    first = number.argmax(dim=-1) - reach_px
    end = size - number.flip(-1).argmax(dim=-1) + reach_px
    return first.clamp(min=0) * some, end.clamp(max=size) * some
