"""Which Gaussians to keep before a set is shown or written.

These repeat what FaceLift's programs drop; the models and the losses never do. Nothing is
edited: the functions return indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mfl_adapt.types import Gaussians

Box = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Thresholds, applied in this order; None leaves a step out.

    Attributes:
        opacity: Keep what is more opaque than this.
        scale: Keep what is smaller than this in every direction, and everything above z = 0
            whatever its size.
        floater: Drop what is farther out than this in both x and y and that far below 0 in z:
            the corners under the subject.
        box: Keep what lies within x0, x1, y0, y1, z0, z1, borders included.
        distance_quantiles: Keep what lies, for every camera, between these quantiles of the
            distances to it; only where cameras are given.
    """

    opacity: float
    scale: float | None = None
    floater: float | None = None
    box: Box | None = None
    distance_quantiles: tuple[float, float] | None = None


_HEAD_BOX: Box = (-0.91, 0.91, -0.91, 0.91, -1.0, 1.0)
_CUBE: Box = (-0.91, 0.91, -0.91, 0.91, -0.91, 0.91)

SCRIPT = FilterSettings(opacity=0.04, scale=0.1, floater=0.6, box=_HEAD_BOX)
"""FaceLift's inference script."""

DEMO = FilterSettings(opacity=0.04, scale=0.2, floater=0.75, box=_HEAD_BOX)
"""FaceLift's web demo."""

EXPORT = FilterSettings(opacity=0.02, box=_CUBE)
"""FaceLift's training pictures and validation exports."""


def kept_indices(
    gaussians: Gaussians, settings: FilterSettings, *, centers: Tensor | None = None
) -> Tensor:
    """Return which Gaussians of a scene survive, in increasing order.

    Args:
        gaussians: One scene: a batch of one.
        settings: Thresholds.
        centers: Camera centres for the distance step, [cameras, 3].

    Returns:
        Indices, int64.
    """
    means, scales, opacities = gaussians.means[0], gaussians.scales[0], gaussians.opacities[0]
    keep = opacities > settings.opacity
    if settings.scale is not None:
        keep &= small_or_high(means, scales, settings.scale)
    if settings.floater is not None:
        keep &= ~under_corner(means, settings.floater)
    if settings.box is not None:
        keep &= in_box(means, settings.box)
    kept = keep.nonzero().flatten()
    if settings.distance_quantiles is not None and centers is not None:
        kept = kept[within_quantiles(means[kept], centers, settings.distance_quantiles)]
    return kept


def small_or_high(means: Tensor, scales: Tensor, limit: float) -> Tensor:
    """Whether every scale is below the limit or the mean lies above z = 0, [N] bool."""
    return (scales.amax(dim=-1) < limit) | (means[:, 2] > 0)


def under_corner(means: Tensor, limit: float) -> Tensor:
    """Whether a mean lies far out in x and y and far below z = 0, [N] bool."""
    x, y, z = means.unbind(dim=-1)
    return (x.abs() > limit) & (y.abs() > limit) & (z < -limit)


def in_box(means: Tensor, box: Box) -> Tensor:
    """Whether a mean lies in the box x0, x1, y0, y1, z0, z1, borders included, [N] bool."""
    low = torch.tensor(box[0::2], dtype=means.dtype, device=means.device)
    high = torch.tensor(box[1::2], dtype=means.dtype, device=means.device)
    return ((means >= low) & (means <= high)).all(dim=-1)


def within_quantiles(means: Tensor, centers: Tensor, quantiles: tuple[float, float]) -> Tensor:
    """Whether a mean's distance to each camera is among the usual ones, [N] bool."""
    if not len(means):
        return torch.zeros(0, dtype=torch.bool, device=means.device)
    keep = torch.ones(len(means), dtype=torch.bool, device=means.device)
    for center in centers.to(means):
        distance = torch.linalg.vector_norm(means - center, dim=-1)
        keep &= (distance >= _quantile(distance, quantiles[0])) & (
            distance <= _quantile(distance, quantiles[1])
        )
    return keep


def _quantile(values: Tensor, share: float) -> Tensor:
    """Linearly interpolated quantile; torch.quantile refuses more than 16 million values."""
    position = share * (len(values) - 1)
    low = int(position)
    ordered = values.sort().values
    return torch.lerp(ordered[low], ordered[min(low + 1, len(values) - 1)], position - low)
