"""Viewing rays of pinhole cameras, always in float32.

Half precision would turn a ray by up to about two pixels at 512 px, so nothing here runs under
autocast. The rotation is a sum of three products instead of a matmul, because TF32, where it is
switched on, rounds a matmul to the mantissa of float16.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.types import Cameras


class Rays(NamedTuple):
    """One ray per pixel.

    Attributes:
        origins: Camera centres, [..., 3, 1, 1]; they broadcast against ``directions``.
        directions: Unit vectors in the world, [..., 3, H, W].
    """

    origins: Tensor
    directions: Tensor


def camera_rays(cameras: Cameras, *, round_to: torch.dtype | None = None) -> Rays:
    """Return the rays through the pixel centres (j + 0.5, i + 0.5).

    Args:
        cameras: Tensors, c2w [..., 4, 4] with orthonormal rotations.
        round_to: Round the rotation's inputs and output to this half-precision type, as CUDA
            autocast does where a ray is rotated by a matmul. Only to compare with programs
            that do so; None keeps float32.

    Returns:
        float32 rays on the device of ``cameras``; they carry no gradient.
    """
    with torch.no_grad(), torch.autocast(cameras.c2w.device.type, enabled=False):
        c2w = cameras.c2w.to(torch.float32)
        local = _pixel_directions(cameras.fxfycxcy.to(torch.float32), cameras.height, cameras.width)
        directions = _rotate(c2w[..., :3, :3], local, round_to)
        return Rays(c2w[..., :3, 3, None, None], directions / _norm(directions))


def nearest_to_origin(rays: Rays) -> tuple[Tensor, Tensor]:
    """Return the point of each ray's line that is closest to the world origin.

    Args:
        rays: Unit directions [..., 3, H, W].

    Returns:
        The points [..., 3, H, W], and their signed distances from the camera [..., 1, H, W].
    """
    distance = -(rays.origins * rays.directions).sum(dim=-3, keepdim=True)
    return rays.origins + distance * rays.directions, distance


def _pixel_directions(fxfycxcy: Tensor, height: int, width: int) -> Tensor:
    """Unit directions in the camera frame, [..., 3, H, W]."""
    fx, fy, cx, cy = fxfycxcy[..., None, None].unbind(dim=-3)
    columns = torch.arange(width, device=fxfycxcy.device, dtype=torch.float32) + 0.5
    rows = torch.arange(height, device=fxfycxcy.device, dtype=torch.float32) + 0.5
    x, y = (columns - cx) / fx, (rows[:, None] - cy) / fy
    x, y = torch.broadcast_tensors(x, y)
    local = torch.stack((x, y, torch.ones_like(x)), dim=-3)
    return local / _norm(local)


def _rotate(rotation: Tensor, local: Tensor, round_to: torch.dtype | None) -> Tensor:
    """Apply [..., 3, 3] to [..., 3, H, W], rounding before and after if asked to."""
    if round_to is not None:
        rotation, local = (t.to(round_to).to(torch.float32) for t in (rotation, local))
    x, y, z = local.unsqueeze(-4).unbind(dim=-3)  # each [..., 1, H, W]
    columns = rotation[..., None, None].unbind(dim=-3)  # each [..., 3, 1, 1]
    rotated = columns[0] * x + columns[1] * y + columns[2] * z
    return rotated if round_to is None else rotated.to(round_to).to(torch.float32)


def _norm(vectors: Tensor) -> Tensor:
    """Lengths of [..., 3, H, W] as [..., 1, H, W]; several times as fast as torch's norm here."""
    return vectors.square().sum(dim=-3, keepdim=True).sqrt()
