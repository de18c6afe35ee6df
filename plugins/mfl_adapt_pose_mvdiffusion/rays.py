"""Cameras as rays: six Pluecker coordinates per latent cell."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mfl_adapt.cameras import FACELIFT_DISTANCE, FACELIFT_SLOTS_DEG
from mfl_adapt.types import Cameras

from .angles import relative_azimuths, zeroed


class RayEmbedding(nn.Module):
    """Rays of each view, as a term on the latents after the first layer of the denoiser."""

    def __init__(self, channels: int, *, hidden: int) -> None:
        """Build a network whose output is zero.

        Args:
            channels: Of the denoiser's first layer, C.
            hidden: Channels in between.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, hidden, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.SiLU(),
            zeroed(nn.Conv2d(hidden, channels, 1)),
        )

    def forward(self, cameras: Cameras, *, height: int, width: int) -> Tensor:
        """Return [B * V, C, height, width] for cameras [B, V].

        Raises:
            DataError: If view 0 has no azimuth.
        """
        # Autocast would round the products of poses and directions to 8 bits in training alone.
        with torch.autocast(cameras.c2w.device.type, enabled=False):
            rays = pluecker_rays(cameras, height=height, width=width).flatten(0, 1)
        embedded: Tensor = self.layers(rays)
        return embedded


def pluecker_rays(cameras: Cameras, *, height: int, width: int) -> Tensor:
    """Return direction and moment of the ray through each cell, [B, V, 6, height, width].

    The world is turned about +z until view 0 stands where the front view of the slots does, so
    that its own azimuth has no say. Moments (centre x direction) are in units of the published
    distance, which makes both halves of order 1.

    Args:
        cameras: [B, V], world +z up, subject at the origin.
        height: Number of cells from top to bottom.
        width: Number of cells from left to right.

    Raises:
        DataError: If view 0 is straight above or below the subject.
    """
    c2w = _face_front(cameras)
    fx, fy, cx, cy = cameras.fxfycxcy[..., None, None].unbind(dim=2)  # each [B, V, 1, 1]
    x = (torch.arange(width).to(c2w) + 0.5) * (cameras.width / width)
    y = (torch.arange(height).to(c2w)[:, None] + 0.5) * (cameras.height / height)
    flat_x, flat_y = torch.broadcast_tensors((x - cx) / fx, (y - cy) / fy)
    inside = torch.stack([flat_x, flat_y, torch.ones_like(flat_x)], dim=2)
    rays = torch.einsum("bvij,bvjhw->bvihw", c2w[..., :3, :3], inside)
    rays = rays / rays.norm(dim=2, keepdim=True)
    centers = c2w[..., :3, 3, None, None].expand_as(rays) / FACELIFT_DISTANCE
    return torch.cat([rays, torch.linalg.cross(centers, rays, dim=2)], dim=2)


def _face_front(cameras: Cameras) -> Tensor:
    """Return the poses in a world that is turned until view 0 stands in front."""
    relative_azimuths(cameras)  # which has an error of its own where there is no azimuth
    x, y = cameras.centers[:, :1, :2].unbind(dim=-1)
    turn = math.radians(FACELIFT_SLOTS_DEG[0]) - torch.atan2(y, x)  # [B, 1]
    zero, one = torch.zeros_like(turn), torch.ones_like(turn)
    rows = [turn.cos(), -turn.sin(), zero, zero, turn.sin(), turn.cos(), zero, zero]
    rows += [zero, zero, one, zero, zero, zero, zero, one]
    turned: Tensor = torch.stack(rows, dim=-1).unflatten(-1, (4, 4)) @ cameras.c2w
    return turned
