"""From the numbers that the heads write to stored Gaussians, in float32.

Channels of one Gaussian: position 3, colour 3 K, log-scale 3, quaternion 4, opacity logit 1.
"""

import torch
from torch import Tensor

from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.gaussians import RawGaussians
from mfl_adapt.models.gslrm.patches import to_patches
from mfl_adapt.models.rays import Rays, nearest_to_origin

# Shifts that make a fresh network start with small, faint Gaussians. The bound on the log-scale
# holds after the shift: no Gaussian is wider than exp(-1.2) = 0.301 world units.
SCALE_SHIFT = -2.3
SCALE_MAX = -1.20
OPACITY_SHIFT = -2.0


def decode(free: Tensor, pixel: Tensor, rays: Rays, config: GSLRMConfig) -> RawGaussians:
    """Turn both heads' outputs into stored Gaussians.

    Args:
        free: [B, N_free, C].
        pixel: [B, V * P, patch * patch * C].
        rays: Rays of the input views, directions [B, V, 3, H, W].
        config: Architecture.

    Returns:
        The free Gaussians and after them the pixels' in patch order.
    """
    channels, coefficients = config.gaussian_channels, config.sh_coefficients
    free, pixel = free.float(), pixel.float()
    values = torch.cat((free, pixel.reshape(pixel.shape[0], -1, channels)), dim=1)
    position, features, scaling, rotation, opacity = values.split(
        (3, 3 * coefficients, 3, 4, 1), dim=-1
    )
    num_free = free.shape[1]
    on_rays = place_pixels(position[:, num_free:], rays, config)
    _, views, _, height, width = rays.directions.shape
    return RawGaussians(
        xyz=torch.cat((position[:, :num_free], on_rays), dim=1),
        features=features.unflatten(-1, (coefficients, 3)),
        scaling=(scaling + SCALE_SHIFT).clamp(max=SCALE_MAX),
        rotation=rotation,
        opacity=opacity + OPACITY_SHIFT,
        grid=(views, height, width),
        patch=config.patch_size,
        scaling_modifier=1.0 if config.scaling_modifier is None else config.scaling_modifier,
    )


def place_pixels(position: Tensor, rays: Rays, config: GSLRMConfig) -> Tensor:
    """Return the positions [B, V * H * W, 3] of the pixels' Gaussians, in patch order."""
    if config.hard_pixelalign:
        directions = to_patches(rays.directions, config.patch_size).flatten(1, 2)
        # Every pixel of a view has the same origin, and views are the slowest axis.
        origins = rays.origins.flatten(start_dim=2)
        origins = origins.repeat_interleave(directions.shape[1] // origins.shape[1], dim=1)
        # The three channels act through their mean alone.
        depth = torch.sigmoid(position.mean(dim=-1, keepdim=True) + config.depth_preact_bias)
        position = origins + _distance(depth, rays, config) * directions
    return position.clamp(-1, 1) if config.clamp_positions else position


def _distance(depth: Tensor, rays: Rays, config: GSLRMConfig) -> Tensor:
    """Distance along the unit ray for a depth in [0, 1], both [B, V * H * W, 1]."""
    centered = 2 * depth - 1
    if config.plucker != "standard":
        _, nearest = nearest_to_origin(rays)
        return centered * 1.8 + to_patches(nearest, config.patch_size).flatten(1, 2)
    if config.depth_range is not None:
        near, far = config.depth_range
        return depth * (far - near) + near
    if config.depth_reference_origin:
        radius = torch.linalg.vector_norm(rays.origins, dim=2)[:, :, 0]  # [B, V, 1]
        return centered * 1.8 + radius.repeat_interleave(depth.shape[1] // radius.shape[1], dim=1)
    return centered * 1.5 + 2.7
