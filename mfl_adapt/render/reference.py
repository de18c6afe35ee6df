"""The rasterizer in plain torch: slow, but readable, in float32 or float64, and without numba.

Per view, first without gradients: walk the Gaussians from near to far in chunks, and note every
(Gaussian, pixel) pair that is drawn. Then composite exactly those pairs with autograd. Pixels
that are full, and Gaussians over full pixels only, drop out of the walk, which keeps scenes of
large faint splats within memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mfl_adapt.render.protocol import (
    ALPHA_MAX,
    ALPHA_MIN,
    EXTENT_MAX,
    FAR,
    JACOBIAN_MARGIN,
    SCREEN_BLUR,
    TRANSMITTANCE_MIN,
)
from mfl_adapt.types import RenderOutput

_PAIRS_AT_ONCE = 2_000_000  # bounds the memory of the walk
_SLACK_PX = 0.02  # the alpha test decides; boxes only save work


class _Splats(NamedTuple):
    """Gaussians on the screen: sigma = (a w^2 + d dy^2) / 2 with w = dx + b dy."""

    x: Tensor  # [M], pixels
    y: Tensor
    a: Tensor
    b: Tensor
    d: Tensor
    z: Tensor
    radius_x: Tensor  # standard deviation along x, pixels
    det: Tensor


class _Pairs(NamedTuple):
    """Drawn pairs, sorted by pixel and by depth within a pixel."""

    splat: Tensor  # [P] index into the visible Gaussians
    pixel: Tensor  # [P] row * width + column


def rasterize(
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
    near: float,
    max_alpha: float = ALPHA_MAX,
    depth: bool = True,
    boxes: Tensor | None = None,
) -> RenderOutput:
    """Draw one scene with torch operations only; see ``protocol.Rasterizer``.

    Args:
        means: [N, 3]; its dtype, float32 or float64, is that of all the others.
        quats: [N, 4].
        scales: [N, 3].
        opacities: [N].
        colors: [1, N, 3] or [V, N, 3].
        viewmats: World to camera, [V, 4, 4].
        fxfycxcy: [V, 4], in pixels.
        width: In pixels.
        height: In pixels.
        background: [V, 3].
        near: In world units.
        max_alpha: Upper limit of what one Gaussian covers.
        depth: Whether to return depth.
        boxes: Where to draw, [V, 4]; nothing else is.

    Returns:
        The pictures, [V, ..., H, W]. A Gaussian with NaN in its geometry is not drawn.
    """
    images, lights = [], []
    for view, (viewmat, intrinsics) in enumerate(zip(viewmats, fxfycxcy, strict=True)):
        palette = colors[view if len(colors) > 1 else 0]
        camera = (viewmat, intrinsics, width, height)
        box = (0, 0, width, height) if boxes is None else tuple(boxes[view].tolist())
        visible, pairs = _find_pairs(means, quats, scales, opacities, camera, near, max_alpha, box)
        fields = tuple(field[visible] for field in (means, quats, scales, opacities, palette))
        # Checkpointed, so that only one view at a time holds its pairs' intermediate values.
        image, light = checkpoint(
            _composite, fields, camera, pairs, max_alpha,
            use_reentrant=False, preserve_rng_state=False,
        )  # fmt: skip
        images.append(image.T.reshape(4, height, width))
        lights.append(light.reshape(1, height, width))
    image, light = torch.stack(images), torch.stack(lights)
    rgb = image[:, :3] + light * background[:, :, None, None]
    return RenderOutput(rgb, 1 - light, image[:, 3:] if depth else None)


_Camera = tuple[Tensor, Tensor, int, int]  # world to camera, fxfycxcy, width, height


def _rotations(quats: Tensor) -> Tensor:
    """Matrices [M, 3, 3] of quaternions [M, 4] of any length."""
    w, x, y, z = (quats / quats.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], 1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], 1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1),
    ]
    return torch.stack(rows, 1)


def _row(viewmat: Tensor, k: int, means: Tensor) -> Tensor:
    """One camera coordinate, in the order of operations that fixes near ties of depth."""
    r, p = viewmat[k], means.unbind(1)
    return ((r[0] * p[0] + r[1] * p[1]) + r[2] * p[2]) + r[3]


def _clamp(u: Tensor, focal: Tensor, center: Tensor, size: int) -> Tensor:
    margin = JACOBIAN_MARGIN * size / focal
    return torch.minimum(
        torch.maximum(u, -center / focal - margin), (size - center) / focal + margin
    )


def _project(means: Tensor, quats: Tensor, scales: Tensor, camera: _Camera) -> _Splats:
    """Project Gaussians [M, ...]; differentiable."""
    viewmat, (fx, fy, cx, cy), width, height = camera
    x, y, z = (_row(viewmat, k, means) for k in range(3))
    u, v = x / z, y / z
    right, down, forward = viewmat[:3, :3]
    p0 = (fx / z)[:, None] * (right - _clamp(u, fx, cx, width)[:, None] * forward)
    p1 = (fy / z)[:, None] * (down - _clamp(v, fy, cy, height)[:, None] * forward)
    axes = _rotations(quats) * scales[:, None, :]
    a = torch.einsum("ni,nik->nk", p0, axes)
    b = torch.einsum("ni,nik->nk", p1, axes)
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    # |a x b|^2 does not cancel, unlike the difference of products, which is off for thin splats.
    normal = torch.linalg.cross(a, b)
    det = (normal * normal).sum(1) + SCREEN_BLUR * (aa + bb) + SCREEN_BLUR**2
    sxx, syy = aa + SCREEN_BLUR, bb + SCREEN_BLUR
    return _Splats(fx * u + cx, fy * v + cy, syy / det, -ab / syy, 1 / syy, z, sxx.sqrt(), det)


def _alphas(
    splats: _Splats, opacities: Tensor, pairs: _Pairs, width: int, max_alpha: float
) -> Tensor:
    """What each pair covers, [P]."""
    s = pairs.splat
    dx = splats.x[s] - (pairs.pixel % width + 0.5)
    dy = splats.y[s] - (torch.div(pairs.pixel, width, rounding_mode="floor") + 0.5)
    w = dx + splats.b[s] * dy
    sigma = 0.5 * (splats.a[s] * w * w + splats.d[s] * dy * dy)
    return (opacities[s] * torch.exp(-sigma)).clamp_max(max_alpha)


@torch.no_grad()
def _find_pairs(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    camera: _Camera,
    near: float,
    max_alpha: float,
    box: tuple[int, ...],
) -> tuple[Tensor, _Pairs]:
    """Visible Gaussians from near to far, and the pairs among them that are drawn in the box."""
    width, height = camera[2:]
    splats = _project(means, quats, scales, camera)
    # Every test is written so that NaN fails it.
    visible = (splats.z >= near) & (splats.z <= FAR) & (splats.det < 3e38)
    visible &= (opacities >= ALPHA_MIN) & (opacities < 3e38)
    reach = (2 * (255 * opacities).log()).clamp(0, EXTENT_MAX**2).sqrt()
    rx, ry = reach * splats.radius_x, reach / splats.d.sqrt()
    visible &= (splats.x + rx > 0) & (splats.x - rx < width)
    visible &= (splats.y + ry > 0) & (splats.y - ry < height)
    index = visible.nonzero()[:, 0]
    index = index[torch.argsort(splats.z[index].float(), stable=True)]  # ties: lower index first
    splats = _Splats(*(value[index] for value in splats))
    left, right = (edge.clamp(box[0], box[2]) for edge in _span(splats.x, rx[index], width))
    top, bottom = (edge.clamp(box[1], box[3]) for edge in _span(splats.y, ry[index], height))
    boxes = torch.stack([left, right, top, bottom], 1)
    return index, _walk(splats, opacities[index], boxes, width, height, max_alpha)


def _span(center: Tensor, radius: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel, and one past the last, whose centres lie within the radius."""
    radius = radius + _SLACK_PX
    first = (center - radius - 0.5).ceil().clamp(0, size).long()
    last = (center + radius - 0.5).floor().clamp(-1, size - 1).long()
    return first, torch.maximum(last + 1, first)


def _walk(
    splats: _Splats, opacities: Tensor, boxes: Tensor, width: int, height: int, max_alpha: float
) -> _Pairs:
    """Go through the boxes from near to far; return the drawn pairs sorted by pixel."""
    device = opacities.device
    log_light = torch.zeros(height * width, dtype=torch.float64, device=device)
    alive = torch.ones(height * width, dtype=torch.bool, device=device)
    found = []
    areas = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    for low, high in _chunks(areas):
        holds_living = _count_living(alive.reshape(height, width), boxes[low:high]) > 0
        chunk = torch.arange(low, high, device=device)[holds_living]
        pairs = _expand(chunk, boxes, areas, width)
        pairs = _Pairs(*(value[alive[pairs.pixel]] for value in pairs))
        alpha = _alphas(splats, opacities, pairs, width, max_alpha)
        hit = alpha >= ALPHA_MIN
        pixel, order = torch.sort(pairs.pixel[hit], stable=True)
        splat, log_left = pairs.splat[hit][order], torch.log1p(-alpha[hit][order].double())
        light = torch.exp(log_light[pixel] + _running_sum(log_left, pixel))
        drawn = light > TRANSMITTANCE_MIN
        log_light.index_add_(0, pixel[drawn], log_left[drawn])
        alive[pixel[~drawn]] = False
        found.append(_Pairs(splat[drawn], pixel[drawn]))
        if not alive.any():
            break
    if not found:
        none = torch.empty(0, dtype=torch.long, device=device)
        return _Pairs(none, none)
    splat, pixel = (torch.cat(parts) for parts in zip(*found, strict=True))
    pixel, order = torch.sort(pixel, stable=True)
    return _Pairs(splat[order], pixel)


def _chunks(areas: Tensor) -> Iterator[tuple[int, int]]:
    """Cut the list where the boxes add up to ``_PAIRS_AT_ONCE``; a larger box stays alone."""
    ends = areas.cumsum(0)
    low = 0
    while low < len(areas):
        before = ends[low] - areas[low]
        high = int(torch.searchsorted(ends, before + _PAIRS_AT_ONCE, right=True))
        high = max(high, low + 1)
        yield low, high
        low = high


def _count_living(alive: Tensor, boxes: Tensor) -> Tensor:
    """How many living pixels each box holds, from a summed-area table."""
    table = torch.nn.functional.pad(alive.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    x0, x1, y0, y1 = boxes.unbind(1)
    return table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]


def _expand(chunk: Tensor, boxes: Tensor, areas: Tensor, width: int) -> _Pairs:
    """All pairs of some Gaussians with the pixels of their boxes."""
    sizes = areas[chunk]
    splat = chunk.repeat_interleave(sizes)
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    place = torch.arange(len(splat), device=chunk.device) - starts
    x0, x1, y0, _ = boxes[splat].unbind(1)
    row = torch.div(place, x1 - x0, rounding_mode="floor")
    return _Pairs(splat, (y0 + row) * width + x0 + place - row * (x1 - x0))


def _running_sum(values: Tensor, segment: Tensor) -> Tensor:
    """Inclusive cumulative sum that starts again with each run of equal ``segment`` numbers."""
    total = values.cumsum(0)
    _, counts = torch.unique_consecutive(segment, return_counts=True)
    starts = counts.cumsum(0) - counts
    return total - (total[starts] - values[starts]).repeat_interleave(counts)


def _composite(
    fields: tuple[Tensor, ...], camera: _Camera, pairs: _Pairs, max_alpha: float
) -> tuple[Tensor, Tensor]:
    """Colour and depth sums [H * W, 4] and the light that is left [H * W, 1]; differentiable."""
    means, quats, scales, opacities, colors = fields
    width, height = camera[2:]
    splats = _project(means, quats, scales, camera)
    alpha = _alphas(splats, opacities, pairs, width, max_alpha)
    log_left = torch.log1p(-alpha.double())
    light = torch.exp(_running_sum(log_left, pairs.pixel) - log_left).to(alpha.dtype)
    values = torch.cat([colors, splats.z[:, None]], 1)[pairs.splat]
    image = values.new_zeros(height * width, 4)
    image = image.index_add(0, pairs.pixel, values * (alpha * light)[:, None])
    log_light = log_left.new_zeros(height * width).index_add(0, pairs.pixel, log_left)
    return image, torch.exp(log_light)[:, None].to(alpha.dtype)
