"""Structural similarity inside a mask.

The windows are those of Wang et al. 2004 (11 taps, sigma 1.5, valid positions only), their
moments are taken over the kept pixels alone (normalised convolution), and each window counts by
the mask it holds. With a mask of ones this is ``pytorch_msssim.ssim`` 1.0.0.

One minus SSIM is computed instead of SSIM, from the difference d = target - pred:

    1 - luminance = mean(d)^2 / (mean(x)^2 + mean(y)^2 + C1)
    1 - structure = var(d) / (var(x) + var(y) + C2)

These are the usual factors, written so that equal pictures give exactly 0 and rounding cannot
push the similarity above 1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics.inputs import check_pictures, full_precision

WINDOW_PX = 11
SIGMA_PX = 1.5
C1, C2 = 0.01**2, 0.03**2


def dissimilarity(pred: Tensor, target: Tensor, mask: Tensor, *, clamp: bool = True) -> Tensor:
    """One minus SSIM, averaged over the windows by the mask that they hold.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], in [0, 1]; H and W at least 11.
        target: Photographed colour, same shape and range.
        mask: Weight per pixel, [B, V, 1, H, W], not negative; what lies under 0 has no say.
        clamp: Hold the value below 1.

    Returns:
        One value per view, [B, V], in [0, 1]: anticorrelated pictures, whose SSIM is negative,
        also give 1, and keep their gradient; unclamped they reach 2. 0, with zero gradient, where
        the mask is empty.

    Raises:
        ShapeError: If the tensors do not show the same views, or are smaller than a window.
    """
    check_pictures("ssim", pred, target, mask)
    if min(pred.shape[-2:]) < WINDOW_PX:
        raise ShapeError(
            f"ssim: expected pictures of at least {WINDOW_PX} x {WINDOW_PX} pixels, got "
            f"{list(pred.shape[-2:])}. Use larger pictures or leave SSIM out."
        )
    with full_precision(pred, target, mask) as (pred, target, mask):
        per_window, weight = _dissimilarity_map(
            pred.flatten(0, 1), target.flatten(0, 1), mask.flatten(0, 1)
        )
        total = weight.sum(dim=(1, 2, 3))
        # An empty mask divides 0 by 1.
        mean = (per_window * weight).sum(dim=(1, 2, 3)) / torch.where(total > 0, total, 1.0) / 3
        if not clamp:
            return mean.reshape(pred.shape[:2])
        # The value is clamped, its gradient is not: training must get away from the worst.
        value = mean.detach().clamp(0, 1) + (mean - mean.detach())
        return value.reshape(pred.shape[:2])


def ssim(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity per view, inside the mask if there is one.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], in [0, 1]; H and W at least 11.
        target: Photographed colour, same shape and range.
        mask: Weight per pixel, [B, V, 1, H, W]; None keeps the whole frame.

    Returns:
        [B, V] in [0, 1], negative similarity counting as 0; NaN where the mask is empty.

    Raises:
        ShapeError: If the tensors do not show the same views, or are smaller than a window.
    """
    if mask is None:
        return 1 - dissimilarity(pred, target, torch.ones_like(pred[:, :, :1]))
    value = 1 - dissimilarity(pred, target, mask)
    return value.masked_fill(mask.sum(dim=(2, 3, 4)) == 0, torch.nan)


def _dissimilarity_map(x: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1 - SSIM [M, 3, h, w] and mask share [M, 1, h, w] of every valid window."""
    # Zero times infinity is NaN: what the mask drops must be gone before it is weighted.
    x, y = x.masked_fill(mask == 0, 0), y.masked_fill(mask == 0, 0)
    d = y - x
    planes = torch.cat([mask, mask * x, mask * d, mask * x * x, mask * y * y, mask * d * d], dim=1)
    weight, *sums = _blur(planes).split([1, 3, 3, 3, 3, 3], dim=1)
    # Where the window holds no mask, any divisor will do: its weight is 0.
    share = torch.where(weight > 0, weight, 1.0)
    mean_x, mean_d, square_x, square_y, square_d = (item / share for item in sums)
    mean_y = mean_x + mean_d
    # Rounding makes tiny variances negative; the truth is 0.
    var_x = (square_x - mean_x**2).clamp_min(0)
    var_y = (square_y - mean_y**2).clamp_min(0)
    var_d = (square_d - mean_d**2).clamp_min(0)
    luminance = mean_d**2 / (mean_x**2 + mean_y**2 + C1)
    structure = var_d / (var_x + var_y + C2)
    return luminance + structure - luminance * structure, weight


def _blur(planes: Tensor) -> Tensor:
    """Weigh [M, P, H, W] by the Gaussian window at its valid positions."""
    offset = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    taps = torch.exp(-(offset**2) / (2 * SIGMA_PX**2))
    taps = (taps / taps.sum()).to(planes)
    count = planes.shape[1]
    # One group per plane: this kernel has no TF32 variant, which would spoil the variances.
    rows = F.conv2d(planes, taps.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    return F.conv2d(rows, taps.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
