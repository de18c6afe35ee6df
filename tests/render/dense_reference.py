"""A renderer without culling, tiles or lists, in float64: the oracle of the rasterizer tests.

Every Gaussian meets every pixel, so it is only for small scenes; gradients come from autograd.
"""

from typing import NamedTuple

import torch
from torch import Tensor

ALPHA_MIN, STOP, BLUR, NEAR = 1 / 255, 1e-4, 0.3, 0.2
MARGIN = 1e-4  # relative distance from a threshold within which float32 may decide otherwise


class Dense(NamedTuple):
    image: Tensor  # [V, 4, H, W], colour on the background and depth on 0
    alpha: Tensor  # [V, 1, H, W]
    safe: Tensor  # [V, 1, H, W] bool; False where a threshold is within MARGIN


def rotation(quats: Tensor) -> Tensor:
    """Matrices [N, 3, 3] of quaternions wxyz [N, 4], built from q v q* for the three axes."""
    w, v = quats[:, :1], quats[:, 1:]
    columns = []
    for axis in torch.eye(3, dtype=quats.dtype):
        e = axis.expand_as(v)
        t = 2 * torch.linalg.cross(v, e)
        columns.append(e + w * t + torch.linalg.cross(v, t))
    return torch.stack(columns, dim=2)


def render_dense(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    fxfycxcy: Tensor,
    width: int,
    height: int,
    *,
    background: Tensor,
    near: float = NEAR,
    max_alpha: float = 0.999,
) -> Dense:
    """Draw in float64; the arguments are those of every rasterizer."""
    views = []
    for view in range(len(viewmats)):
        palette = colors[view if len(colors) > 1 else 0]
        views.append(
            _render_view(
                (means, quats, scales, opacities, palette),
                viewmats[view], fxfycxcy[view], width, height, background[view], near, max_alpha,
            )
        )  # fmt: skip
    return Dense(*(torch.stack(parts) for parts in zip(*views, strict=True)))


def _render_view(fields, viewmat, intrinsics, width, height, background, near, max_alpha):
    means, quats, scales, opacities, colors = (field.double() for field in fields)
    viewmat, (fx, fy, cx, cy) = viewmat.double(), intrinsics.double()
    # The order is decided on float32 depths, which are part of the definition.
    v32, m32 = viewmat.float(), fields[0].float()
    z32 = v32[2, 0] * m32[:, 0] + v32[2, 1] * m32[:, 1] + v32[2, 2] * m32[:, 2] + v32[2, 3]
    order = torch.argsort(z32.detach(), stable=True)
    order = order[(z32[order] >= near) & (z32[order] <= 1e10) & (opacities[order] >= ALPHA_MIN)]
    means, quats, scales = means[order], quats[order], scales[order]
    opacities, colors = opacities[order], colors[order]

    rot = viewmat[:3, :3]
    x, y, z = (means @ rot.T + viewmat[:3, 3]).unbind(1)
    u, v = x / z, y / z
    uc = u.clamp(-cx / fx - 0.15 * width / fx, (width - cx) / fx + 0.15 * width / fx)
    vc = v.clamp(-cy / fy - 0.15 * height / fy, (height - cy) / fy + 0.15 * height / fy)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([fx / z, zero, -fx * uc / z], 1),
            torch.stack([zero, fy / z, -fy * vc / z], 1),
        ],
        1,
    )
    factor = jacobian @ rot @ rotation(quats / quats.norm(dim=1, keepdim=True)) * scales[:, None]
    cov = factor @ factor.transpose(1, 2) + BLUR * torch.eye(2, dtype=torch.float64)
    columns = torch.arange(width, dtype=torch.float64) + 0.5
    rows = torch.arange(height, dtype=torch.float64) + 0.5
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(-1, 2)
    d = torch.stack([fx * u + cx, fy * v + cy], 1)[:, None] - grid
    sigma = 0.5 * torch.einsum("npi,nij,npj->np", d, torch.linalg.inv(cov), d)
    raw = opacities[:, None] * torch.exp(-sigma)
    alpha = raw.clamp(max=max_alpha)
    hit = alpha >= ALPHA_MIN
    after = torch.cumprod(1 - alpha * hit, 0)
    drawn = hit & (after > STOP)
    light = torch.cumprod(1 - alpha * drawn, 0)
    before = torch.cat([torch.ones_like(light[:1]), light])[:-1]
    left = light[-1] if len(light) else torch.ones(len(grid), dtype=torch.float64)
    weights = alpha * drawn * before
    image = weights.T @ torch.cat([colors, z[:, None]], 1)
    image = image + left[:, None] * torch.cat([background.double(), torch.zeros(1)])
    near_threshold = torch.zeros_like(raw, dtype=torch.bool)
    for value, threshold in ((raw, ALPHA_MIN), (raw, max_alpha), (after, STOP)):
        near_threshold |= (value / threshold - 1).abs() < MARGIN
    safe = ~near_threshold.any(0)
    return (
        image.T.reshape(4, height, width),
        (1 - left).reshape(1, height, width),
        safe.reshape(1, height, width),
    )
