"""Gaussians as the network stores them, and what the stored values mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mfl_adapt.models.gslrm.patches import to_images
from mfl_adapt.types import Gaussians


@dataclass(frozen=True, slots=True, eq=False)
class RawGaussians:
    """Gaussians before activation, float32: the free ones first, then pixels in patch order.

    The names are those of FaceLift's files, because these are the numbers that its PLY holds.

    Attributes:
        xyz: World positions, [B, N, 3].
        features: Spherical-harmonic coefficients, [B, N, K, 3].
        scaling: Logarithms of the scales, [B, N, 3].
        rotation: Quaternions w, x, y, z of any length, [B, N, 4].
        opacity: Logits, [B, N, 1].
        grid: Views, height and width of the pictures they come from.
        patch: Side of a patch in pixels.
        scaling_modifier: Factor on the activated scales.
    """

    xyz: Tensor
    features: Tensor
    scaling: Tensor
    rotation: Tensor
    opacity: Tensor
    grid: tuple[int, int, int]
    patch: int
    scaling_modifier: float = 1.0

    @property
    def num_free(self) -> int:
        """Number of Gaussians that belong to no pixel; they come first."""
        views, height, width = self.grid
        return int(self.xyz.shape[1]) - views * height * width

    @property
    def pixel_xyz(self) -> Tensor:
        """Positions of the pixels' Gaussians as images, [B, V, 3, H, W]."""
        return to_images(self.xyz[:, self.num_free :], *self.grid, self.patch)

    def usage(self, threshold: float = 0.05) -> Tensor:
        """Share of the Gaussians whose opacity exceeds the threshold, [B]."""
        return (torch.sigmoid(self.opacity) > threshold).float().mean(dim=(1, 2))

    def activate(self) -> Gaussians:
        """Return what a renderer draws, in the same order."""
        scales = torch.exp(self.scaling)
        if self.scaling_modifier != 1.0:
            scales = scales * self.scaling_modifier
        return Gaussians(
            means=self.xyz,
            quats=F.normalize(self.rotation, dim=-1, eps=1e-12),
            scales=scales,
            opacities=torch.sigmoid(self.opacity).squeeze(-1),
            sh=self.features,
        )


def covariances(gaussians: Gaussians) -> Tensor:
    """Return the covariance matrices in world units squared.

    Args:
        gaussians: Activated, with unit quaternions.

    Returns:
        The upper triangles xx, xy, xz, yy, yz, zz, [B, N, 6].
    """
    axes = _rotations(gaussians.quats) * gaussians.scales.unsqueeze(-2)
    full = axes @ axes.mT
    rows, columns = torch.triu_indices(3, 3, device=full.device)
    return full[..., rows, columns]


def _rotations(quats: Tensor) -> Tensor:
    """Matrices [..., 3, 3] of unit quaternions w, x, y, z."""
    w, x, y, z = quats.unbind(dim=-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
