"""The CPU rasterizer: compiled kernels behind one differentiable function.

The first call in a fresh installation compiles for about ten seconds; later processes read the
result from numba's cache. Pictures and gradients have the same bits for any number of threads,
and in every process on one kind of CPU, with or without that cache. Double backward is not
supported.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from mfl_adapt.errors import RangeError
from mfl_adapt.render import kernels
from mfl_adapt.render.kernels import (
    RECORD,
    SUMS,
    Gradients,
    Lists,
    Pixels,
    Scene,
    Screen,
)
from mfl_adapt.render.pool import run_tasks
from mfl_adapt.render.protocol import ALPHA_MAX
from mfl_adapt.types import RenderOutput


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
    """Draw one scene with the compiled CPU kernels; see ``protocol.Rasterizer``.

    Args:
        means: [N, 3] float32, on the CPU like all the others.
        quats: [N, 4] float32.
        scales: [N, 3] float32.
        opacities: [N] float32.
        colors: [1, N, 3] or [V, N, 3] float32.
        viewmats: World to camera, [V, 4, 4] float32.
        fxfycxcy: [V, 4] float32, in pixels.
        width: In pixels.
        height: In pixels.
        background: [V, 3] float32.
        near: In world units.
        max_alpha: Upper limit of what one Gaussian covers.
        depth: Whether to return depth; it costs next to nothing here.
        boxes: Where to draw, [V, 4]; every region of 32 x 32 pixels that one touches is drawn.

    Returns:
        The pictures, [V, ..., H, W]. A Gaussian with NaN in its geometry is not drawn.

    Raises:
        RangeError: If the scene is larger than the index types of the kernels.
    """
    image, light = _Rasterize.apply(
        means, quats, scales, opacities, colors, viewmats, fxfycxcy, width, height, near, max_alpha,
        None if boxes is None else _regions(boxes),
    )  # fmt: skip
    rgb = image[:, :3] + light * background[:, :, None, None]
    return RenderOutput(rgb, 1 - light, image[:, 3:] if depth else None)


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's own memory as a contiguous array."""
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


def _regions(boxes: Tensor) -> NDArray[np.int16]:
    """First and last column and row of the regions that boxes [V, 4] touch; none: 0 to -1."""
    left, top, right, bottom = boxes.detach().cpu().numpy().T
    firsts, ends = np.stack([left, top], axis=1), np.stack([right, bottom], axis=1)
    lasts = np.where(ends > firsts, (ends - 1) // kernels.SIDE, -1)
    firsts = np.where(ends > firsts, firsts // kernels.SIDE, 0)
    return np.stack([firsts, lasts], axis=2).reshape(-1, 4).astype(np.int16)


def _project(scene: Scene, boxes: NDArray[np.int16] | None) -> tuple[Screen, Lists]:
    """Project all Gaussians into all views and sort them into the regions of the boxes.

    Raises:
        RangeError: If the scene is larger than the index types of the kernels.
    """
    n, views = len(scene.means), len(scene.views)
    if views * n >= 2**31 or max(scene.width, scene.height) >= 2**20:
        raise RangeError(
            "render: expected fewer than 2^31 Gaussians times views and 2^20 pixels a side, got "
            f"{n} x {views} at {scene.height} x {scene.width}. Draw fewer views at a time."
        )
    tasks = views * kernels.chunks_per_view(scene)
    screen = Screen(
        records=np.empty((views * n, RECORD), np.float32),
        ids=np.empty(views * n, np.int32),
        rects=np.empty((views * n, 4), np.int16),
        found=np.zeros(tasks, np.int64),
    )
    run_tasks(kernels.project, tasks, scene, screen)
    if boxes is not None:
        run_tasks(kernels.restrict, tasks, scene, screen, boxes)
    counts = np.zeros((tasks, kernels.regions_per_view(scene)), np.int64)
    run_tasks(kernels.count, tasks, scene, screen, counts)
    starts, cursors = _entry_positions(counts, views)
    entries = int(starts[-1, -1])
    lists = Lists(starts, cursors, np.empty(entries, np.uint64), np.empty(entries, np.int32))
    run_tasks(kernels.fill, tasks, scene, screen, lists, screen.records.view(np.uint32))
    return screen, lists


def _entry_positions(
    counts: NDArray[np.int64], views: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where regions [V, regions + 1], and chunks in them [tasks, regions], begin in the lists.

    Raises:
        RangeError: If one region holds 2^24 Gaussians, which its float32 indices cannot count.
    """
    tasks, regions = counts.shape
    by_region = counts.reshape(views, tasks // views, regions).transpose(0, 2, 1)
    ends = np.cumsum(by_region).reshape(by_region.shape)
    begins = ends - by_region
    starts = np.concatenate([begins[:, :, 0], ends[:, -1:, -1]], axis=1)
    fullest = int(np.diff(starts, axis=1).max())
    if fullest >= 2**24:
        raise RangeError(
            f"render: expected fewer than 2^24 Gaussians over any 32 x 32 pixels, got {fullest}. "
            "Draw a larger picture or fewer Gaussians."
        )
    return starts, np.ascontiguousarray(begins.transpose(0, 2, 1)).reshape(tasks, regions)


class _Rasterize(torch.autograd.Function):
    """Sums of colour and depth [V, 4, H, W] and the light that is left [V, 1, H, W]."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        tensors, settings, boxes = inputs[:7], inputs[7:-1], inputs[-1]
        scene = _scene(tensors, settings)
        shape = (len(scene.views), 1, scene.height, scene.width)
        image = tensors[0].new_empty(shape[0], 4, *shape[2:])
        light, last = tensors[0].new_empty(shape), tensors[0].new_empty(shape)
        pixels = Pixels(_array(image), _array(light[:, 0]), _array(last[:, 0]))
        screen, lists = _project(scene, boxes)
        tasks = len(scene.views) * kernels.regions_per_view(scene)
        run_tasks(kernels.composite, tasks, scene, screen, lists, pixels)
        if any(ctx.needs_input_grad):
            # Saved by autograd, so that a later change in place is an error, not a wrong gradient.
            ctx.save_for_backward(*tensors, light, last)
            ctx.settings, ctx.screen, ctx.lists = settings, screen, lists
        return image, light

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *v_outputs: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, light, last = ctx.saved_tensors
        v_image, v_light = v_outputs
        scene = _scene(tensors, ctx.settings)
        kept = (scene, ctx.screen, ctx.lists)
        sums = np.zeros((len(ctx.lists.keys), SUMS), np.float32)
        pictures = [
            _array(picture) for picture in (light[:, 0], last[:, 0], v_image, v_light[:, 0])
        ]
        tasks = len(scene.views) * kernels.regions_per_view(scene)
        run_tasks(kernels.composite_grad, tasks, *kept, *pictures, sums)
        grads = [tensor.new_zeros(tensor.shape) for tensor in tensors[:5]]
        chunks = kernels.chunks_per_view(scene)
        v_views = np.zeros((chunks, *scene.views.shape))
        v_scene = Gradients._make([*(_array(grad) for grad in grads), v_views])
        run_tasks(kernels.project_grad, chunks, *kept, sums, v_scene)
        v_viewmats = torch.from_numpy(v_views.sum(axis=0).astype(np.float32))
        return (*grads, v_viewmats, *[None] * 6)


def _scene(tensors: Sequence[Tensor], settings: tuple[int, int, float, float]) -> Scene:
    """Bundle what the kernels read."""
    width, height, near, max_alpha = settings
    arrays = [_array(tensor) for tensor in tensors]
    return Scene._make([*arrays, width, height, np.float32(near), np.float32(max_alpha)])
