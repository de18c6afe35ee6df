"""Losses on where Gaussians lie that belong to the pixels of the inputs.

They know inputs, not targets: the value of a sample stands for each of its target views.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.checks import check_shape
from mfl_adapt.errors import ConfigError
from mfl_adapt.metrics import full_precision
from mfl_adapt.models.rays import camera_rays
from mfl_adapt.plugin import LossContext
from mfl_adapt.types import Cameras, ViewBatch

from .config import PixelAlignConfig, PointsDistConfig


def pixelalign(positions: Tensor, cameras: Cameras, mask: Tensor | None = None) -> Tensor:
    """Mean distance of Gaussians from the rays of their pixels.

    Their places along the rays are taken as given: the gradient points straight to the ray.

    Args:
        positions: World positions, [B, V, 3, H, W].
        cameras: Of the pictures they come from, [B, V], tensors.
        mask: Weight per pixel, [B, V, 1, H, W]; dropped pixels count as lying on their rays.

    Returns:
        One value per sample, [B], in world units.

    Raises:
        ShapeError: If positions, cameras and mask do not fit each other.
    """
    _check("pixelalign", positions, cameras)
    rays = camera_rays(cameras)
    with full_precision(positions) as (positions,):
        away = positions - rays.origins
        along = (away.detach() * rays.directions).sum(dim=2, keepdim=True)
        aside = away - along * rays.directions
        if mask is not None:
            check_shape("pixelalign: mask", mask, (*positions.shape[:2], 1, *positions.shape[3:]))
            aside = aside * mask.to(aside)
        return torch.linalg.vector_norm(aside, dim=2).mean(dim=(1, 2, 3))


def pointsdist(positions: Tensor, cameras: Cameras, *, spread: float = 0.5) -> Tensor:
    """Mean squared deviation of distances from where they should lie about the origin.

    In each view the distances of all pixels are shifted and scaled so that their mean is the
    camera's distance from the origin and their standard deviation the spread; that is the target,
    and it takes no gradient. It keeps depths from collapsing onto one surface while colours do not
    lead them yet.

    Args:
        positions: World positions, [B, V, 3, H, W].
        cameras: Of the pictures they come from, [B, V], tensors.
        spread: Standard deviation of the target, in world units.

    Returns:
        One value per sample, [B], in squared world units.

    Raises:
        ShapeError: If positions and cameras do not fit each other.
    """
    _check("pointsdist", positions, cameras)
    with full_precision(positions) as (positions,):
        centers = cameras.centers.to(positions)
        distance = torch.linalg.vector_norm(positions - centers[..., None, None], dim=2)
        known = distance.detach()
        mean = known.mean(dim=(2, 3), keepdim=True)
        deviation = known.std(dim=(2, 3), keepdim=True)
        middle = torch.linalg.vector_norm(centers, dim=-1)[..., None, None]
        target = (known - mean) / (deviation + 1e-8) * spread + middle
        return (distance - target).square().mean(dim=(1, 2, 3))


class PixelAlign:
    """The component ``facelift_loss.pixelalign``.

    Attributes:
        reach_px: It reads no rendered pixel.
    """

    reach_px = 0

    def __init__(self, config: PixelAlignConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``pixelalign`` of the sample for each of its views, [B, V].

        Raises:
            ConfigError: If the base places no Gaussians by pixels.
        """
        placed = _placed("pixelalign", context)
        weight = placed.inputs.mask if self.config.masked else None
        value = pixelalign(placed.positions, placed.inputs.cameras, weight)
        return value[:, None].expand(*pred.shape[:2])


class PointsDist:
    """The component ``facelift_loss.pointsdist``.

    Attributes:
        reach_px: It reads no rendered pixel.
    """

    reach_px = 0

    def __init__(self, config: PointsDistConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``pointsdist`` of the sample for each of its views, [B, V].

        Raises:
            ConfigError: If the base places no Gaussians by pixels.
        """
        placed = _placed("pointsdist", context)
        value = pointsdist(placed.positions, placed.inputs.cameras, spread=self.config.spread)
        return value[:, None].expand(*pred.shape[:2])


class _Placed(NamedTuple):
    """What these losses look at."""

    positions: Tensor
    inputs: ViewBatch


def _placed(name: str, context: LossContext) -> _Placed:
    """Take positions and inputs out of the context.

    Raises:
        ConfigError: If there are none.
    """
    if context.positions is None or context.inputs is None:
        raise ConfigError(
            f"facelift_loss.{name}: expected a base whose Gaussians belong to pixels of the "
            f"inputs, got one without. Remove losses.facelift_loss.{name}."
        )
    return _Placed(context.positions, context.inputs)


def _check(where: str, positions: Tensor, cameras: Cameras) -> None:
    """Hold positions to the cameras.

    Raises:
        ShapeError: If they do not fit.
    """
    expected = (*cameras.shape, 3, cameras.height, cameras.width)
    check_shape(f"{where}: positions", positions, expected, hint="One for each input pixel.")
