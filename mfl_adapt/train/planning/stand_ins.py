"""Rasterizers that draw nothing and take the memory of those that do.

A compiled rasterizer cannot read tensors without content. Its buffers are known but for one
number: how many tiles of the screen a Gaussian touches, which depends on the scene.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import torch
from torch import Tensor

from mfl_adapt.render.sh import colors_from_sh
from mfl_adapt.types import Cameras, Gaussians, RenderOutput

REGIONS: Final = 1.5
"""Regions of 32 x 32 pixels that a Gaussian touches in a view, on the CPU; assumed."""
TILES: Final = 4.0
"""Tiles of 16 x 16 pixels that a Gaussian touches in a view, in gsplat; assumed."""


class Draw(Protocol):
    """Draws the targets of a batch."""

    def __call__(self, gaussians: Gaussians, cameras: Cameras, background: float) -> RenderOutput:
        """Return pictures, [B, V, ..., H, W]."""
        ...


def draw_like_cpu(gaussians: Gaussians, cameras: Cameras, background: float) -> RenderOutput:
    """Take the memory of the CPU rasterizer."""
    return _draw(gaussians, cameras, background, _LikeCPU)


def draw_like_gsplat(gaussians: Gaussians, cameras: Cameras, background: float) -> RenderOutput:
    """Take the memory of gsplat, by its version 1.5."""
    return _draw(gaussians, cameras, background, _LikeGsplat)


def _draw(
    gaussians: Gaussians, cameras: Cameras, background: float, like: type[torch.autograd.Function]
) -> RenderOutput:
    """Go the way of ``render``: scene by scene, in float32."""
    behind = torch.full((*cameras.shape, 3), background)
    viewmats = torch.linalg.inv_ex(cameras.c2w.double())[0].float()
    drawn = []
    for index in range(len(cameras)):
        scene = gaussians[index]
        centres = cameras.c2w[index, :, :3, 3]
        image, light = like.apply(
            scene.means,
            scene.quats,
            scene.scales,
            scene.opacities,
            colors_from_sh(scene.sh, scene.means, centres),
            viewmats[index],
            cameras.fxfycxcy[index],
            cameras.height,
            cameras.width,
        )
        rgb = image[:, :3] + light * behind[index, :, :, None, None]
        drawn.append((rgb, 1 - light))
    rgbs, alphas = zip(*drawn, strict=True)
    return RenderOutput(torch.stack(rgbs), torch.stack(alphas), None)


class _LikeCPU(torch.autograd.Function):
    """Buffers of ``render.cpu``."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        tensors, (height, width) = inputs[:7], inputs[7:]
        means, views = tensors[0], len(tensors[5])
        image = means.new_empty(views, 4, height, width)
        light, last = (means.new_empty(views, 1, height, width) for _ in range(2))
        pairs = views * len(means)
        # Records of 12 floats, an index and a rectangle; then a key and a place for each entry.
        ctx.kept = _bytes(means, pairs * (12 * 4 + 4 + 8)), _bytes(means, _entries(pairs) * 12)
        ctx.save_for_backward(*tensors, light, last)
        return image, light

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, _, _ = ctx.saved_tensors
        pairs = len(tensors[5]) * len(tensors[0])
        sums = _bytes(tensors[0], _entries(pairs) * 10 * 4)
        grads = [torch.empty_like(one) for one in tensors[:6]]
        del sums
        return (*grads, None, None, None)


class _LikeGsplat(torch.autograd.Function):
    """Buffers of ``gsplat.rasterization`` without packing."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        tensors, (height, width) = inputs[:7], inputs[7:]
        means, views = tensors[0], len(tensors[5])
        pairs, entries = views * len(means), int(TILES * views * len(means))
        # Per view and Gaussian: radii 2, centre 2, depth 1, conic 3, colour 3, opacity 1, tiles 1.
        ctx.kept = _bytes(means, pairs * 13 * 4), _bytes(means, entries * (8 + 4))
        while_sorting = _bytes(means, entries * (8 + 4))
        del while_sorting
        image = means.new_empty(views, 4, height, width)
        light, last = (means.new_empty(views, 1, height, width) for _ in range(2))
        ctx.save_for_backward(*tensors, light, last)
        return image, light

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, _, _ = ctx.saved_tensors
        pairs = len(tensors[5]) * len(tensors[0])
        # Centre 2, conic 3, colour 3 and opacity 1.
        on_screen = _bytes(tensors[0], pairs * 9 * 4)
        grads = [torch.empty_like(one) for one in tensors[:6]]
        del on_screen
        return (*grads, None, None, None)


def _entries(pairs: int) -> int:
    return int(REGIONS * pairs)


def _bytes(like: Tensor, count: int) -> Tensor:
    return like.new_empty(count, dtype=torch.uint8)
