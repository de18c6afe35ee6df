"""How good a rendered picture is: PSNR, SSIM and mask IoU, per view, and what doing nothing scores.

All functions take [B, V, C, H, W], return [B, V] and work in float32 (float64 stays float64),
whatever autocast says.
"""

from mfl_adapt.metrics.baselines import (
    ConstantScore,
    constant_baseline,
    mean_colour,
    mean_colour_baseline,
    white_baseline,
)
from mfl_adapt.metrics.inputs import check_pictures, full_precision
from mfl_adapt.metrics.iou import mask_iou
from mfl_adapt.metrics.psnr import MAX_PSNR_DB, foreground_psnr, psnr
from mfl_adapt.metrics.ssim import dissimilarity, ssim

__all__ = [
    "MAX_PSNR_DB",
    "ConstantScore",
    "check_pictures",
    "constant_baseline",
    "dissimilarity",
    "foreground_psnr",
    "full_precision",
    "mask_iou",
    "mean_colour",
    "mean_colour_baseline",
    "psnr",
    "ssim",
    "white_baseline",
]
