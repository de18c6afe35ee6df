"""Peak signal-to-noise ratio in dB, of the whole frame and of the subject alone."""

import torch
from torch import Tensor

from mfl_adapt.metrics.inputs import check_pictures, full_precision

MAX_PSNR_DB = 100.0
"""Reported for equal pictures, whose true value is infinite and no JSON number."""


def psnr(pred: Tensor, target: Tensor) -> Tensor:
    """PSNR over all pixels of each view.

    Args:
        pred: Rendered colour, [B, V, 3, H, W]; clipped to [0, 1] as a file would be.
        target: Photographed colour, same shape; clipped likewise.

    Returns:
        dB per view, [B, V], at most ``MAX_PSNR_DB``.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_pictures("psnr", pred, target)
    with full_precision(pred, target) as (pred, target):
        error = (pred.clamp(0, 1) - target.clamp(0, 1)) ** 2
        return _to_db(error.mean(dim=(2, 3, 4)))


def foreground_psnr(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR over the pixels whose mask is above one half.

    Not comparable with the PSNR of the whole frame: a small animal on a white background scores
    well there even if it is missing.

    Args:
        pred: Rendered colour, [B, V, 3, H, W]; clipped to [0, 1].
        target: Photographed colour, same shape; clipped likewise.
        mask: [B, V, 1, H, W] in [0, 1].

    Returns:
        dB per view, [B, V], at most ``MAX_PSNR_DB``; NaN where the mask is empty.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_pictures("foreground_psnr", pred, target, mask)
    with full_precision(pred, target) as (pred, target):
        error = (pred.clamp(0, 1) - target.clamp(0, 1)) ** 2
        keep = mask > 0.5
        total = error.masked_fill(~keep, 0).sum(dim=(2, 3, 4))
        return _to_db(total / (3 * keep.sum(dim=(2, 3, 4))))


def _to_db(mean_squared_error: Tensor) -> Tensor:
    """Convert; NaN stays NaN."""
    return -10 * torch.log10(mean_squared_error.clamp_min(10 ** (-MAX_PSNR_DB / 10)))
