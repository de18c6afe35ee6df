"""What guards measure on the pictures of a step; a few milliseconds, every few steps.

Each number is a ratio that does not depend on picture size, species or units, and is NaN where it
would say nothing: a white mouse on white is no collapse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from mfl_adapt.types import Gaussians, RigContract

_LEAST_CONTRAST = 1e-3
"""Mean squared difference from the background below which a subject looks like it (30 dB)."""
_LEAST_VARIANCE = 4e-4
"""Variance of the subject's colours below which it has one colour itself."""
_AT_THE_END = 0.98
"""Share of the depth reach from which on a Gaussian counts as being at its end."""

Measures = Mapping[str, float]


@torch.no_grad()
def measure_pictures(
    pred: Tensor, target: Tensor, mask: Tensor, background: float
) -> dict[str, float]:
    """Compare pictures with their targets.

    Args:
        pred: [..., 3, H, W]; values beyond [0, 1] count as shown, clamped.
        target: Same shape, in [0, 1].
        mask: [..., 1, H, W] in [0, 1].
        background: Colour behind the subject.

    Returns:
        ``mask_share``: covered share of the pictures. ``background``: squared difference of the
        drawn subject from the background, over that of the target. ``variance``: of the colours
        within the subject, over that of the target. ``edges``: squared differences of neighbours
        in and around the subject, over those of the target.
    """
    pred, target, mask = (one.detach().float().flatten(0, -4) for one in (pred, target, mask))
    pred, inside = pred.clamp(0, 1), (mask > 0.5).float()
    return {
        "mask_share": float(mask.mean()),
        "background": _ratio(
            _mean((pred - background).square(), inside),
            _mean((target - background).square(), inside),
            _LEAST_CONTRAST,
        ),
        "variance": _ratio(_variance(pred, inside), _variance(target, inside), _LEAST_VARIANCE),
        "edges": _ratio(_edges(pred), _edges(target), 0.0),
    }


@torch.no_grad()
def measure_gaussians(
    gaussians: Gaussians, alpha: Tensor, mask: Tensor, contract: RigContract
) -> dict[str, float]:
    """Look at what was rendered.

    Args:
        gaussians: [B, N].
        alpha: Rendered opacity, [B, V, 1, H, W].
        mask: Same shape, in [0, 1].
        contract: Its depth reach is what the base can place.

    Returns:
        ``cover``: mean rendered opacity within the masks. ``beyond``: share of the opacity of all
        Gaussians that lies at the end of the reach or past it.
    """
    mask, opacities = mask.detach().float(), gaussians.opacities.detach().float()
    far = gaussians.means.detach().float().norm(dim=-1) > _AT_THE_END * contract.depth_reach
    return {
        "cover": _ratio(float((alpha.detach() * mask).sum()), float(mask.sum()), 0.0),
        "beyond": _ratio(float((opacities * far).sum()), float(opacities.sum()), 0.0),
    }


def find_gradients(
    values: Mapping[str, Tensor], asked: Sequence[str], *inputs: Sequence[Tensor]
) -> dict[str, bool]:
    """Say which loss terms have a gradient that is not 0 everywhere.

    Args:
        values: Scalar of each term, with its graph.
        asked: Names of the terms to look at.
        inputs: Groups of tensors that they may depend on. A later group is only looked at if no
            gradient reaches an earlier one, and gradients go no further than these tensors.

    Returns:
        By name, without the terms that do not count at this step.
    """
    return {
        name: any(_has_gradient(values[name], group) for group in inputs)
        for name in asked
        if name in values
    }


def join_measures(several: Sequence[Measures]) -> dict[str, float]:
    """Average measures of several samples, each over those in which it says something."""
    names = dict.fromkeys(name for one in several for name in one)
    columns = {name: [one[name] for one in several if name in one] for name in names}
    return {name: mean_of_known(column) for name, column in columns.items()}


def mean_of_known(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; NaN if none is."""
    known = [value for value in values if value == value]
    return fmean(known) if known else float("nan")


def _has_gradient(value: Tensor, inputs: Sequence[Tensor]) -> bool:
    wanted = [one for one in inputs if one.requires_grad]
    if not value.requires_grad or not wanted:
        return False
    found = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
    return any(one is not None and bool(one.any()) for one in found)


def _ratio(value: float, reference: float, least: float) -> float:
    return value / reference if reference > least else float("nan")


def _mean(values: Tensor, inside: Tensor) -> float:
    """Mean over the pixels inside and all channels."""
    count = float(inside.sum()) * values.shape[-3]
    return float((values * inside).sum()) / count if count else 0.0


def _variance(rgb: Tensor, inside: Tensor) -> float:
    """Variance of the colours within each view's subject, averaged over views and channels."""
    count = inside.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    mean = (rgb * inside).sum(dim=(-2, -1), keepdim=True) / count
    return _mean((rgb - mean).square(), inside)


def _edges(rgb: Tensor) -> float:
    down, right = rgb.diff(dim=-2).square().mean(), rgb.diff(dim=-1).square().mean()
    return float(down + right)
