"""The CUDA rasterizer: one call of gsplat, or its stages where only boxes are drawn.

No other file imports gsplat.
"""

from importlib.metadata import version

import torch
from torch import Tensor

from mfl_adapt.errors import BackendError
from mfl_adapt.render.protocol import ALPHA_MAX, FAR, SCREEN_BLUR
from mfl_adapt.types import RenderOutput

TILE = 16
"""Side of gsplat's tiles in pixels."""


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
    """Draw one scene with gsplat's CUDA kernels; see ``protocol.Rasterizer``.

    The first call on a machine compiles the kernels, which takes minutes and needs nvcc.

    Args:
        means: [N, 3] float32, on a CUDA device like all the others.
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
        max_alpha: Compiled into gsplat; only ``ALPHA_MAX`` can be asked for.
        depth: Whether to draw depth.
        boxes: Where to draw, [V, 4]; every tile of 16 x 16 pixels that one touches is drawn.

    Returns:
        The pictures, [V, ..., H, W].

    Raises:
        BackendError: If another ``max_alpha`` is asked for, or gsplat draws by other constants.
    """
    _check_constants(max_alpha)
    if boxes is not None:
        scene = (means, quats, scales, opacities, colors)
        camera = (viewmats, _matrices(fxfycxcy), width, height)
        return _rasterize_boxes(scene, camera, boxes, background, near, depth)
    from gsplat import rasterization

    image, alpha, _ = rasterization(
        means=means,
        quats=quats,
        scales=scales,
        opacities=opacities,
        colors=colors[0] if len(colors) == 1 else colors,
        viewmats=viewmats,
        Ks=_matrices(fxfycxcy),
        width=width,
        height=height,
        near_plane=near,
        far_plane=FAR,
        radius_clip=0.0,
        eps2d=SCREEN_BLUR,
        sh_degree=None,
        packed=False,
        tile_size=TILE,
        backgrounds=background,
        render_mode="RGB+D" if depth else "RGB",
        rasterize_mode="classic",
        camera_model="pinhole",
    )
    image = image.permute(0, 3, 1, 2)
    return RenderOutput(image[:, :3], alpha.permute(0, 3, 1, 2), image[:, 3:] if depth else None)


def _rasterize_boxes(
    scene: tuple[Tensor, ...],
    camera: tuple[Tensor, Tensor, int, int],
    boxes: Tensor,
    background: Tensor,
    near: float,
    depth: bool,
) -> RenderOutput:
    """Draw the tiles that boxes touch, by the stages that ``rasterization`` is made of.

    Cutting the picture down instead would also cut down the range in which gsplat linearises the
    projection, and so change what is drawn inside.
    """
    from gsplat import (
        fully_fused_projection,
        isect_offset_encode,
        isect_tiles,
        rasterize_to_pixels,
    )

    means, quats, scales, opacities, colors = scene
    viewmats, matrices, width, height = camera
    views, across, down = len(viewmats), -(-width // TILE), -(-height // TILE)
    radii, means2d, depths, conics, _ = fully_fused_projection(
        means, None, quats, scales, viewmats, matrices, width, height,
        eps2d=SCREEN_BLUR, near_plane=near, far_plane=FAR, radius_clip=0.0, packed=False,
        calc_compensations=False, camera_model="pinhole", opacities=opacities,
    )  # fmt: skip
    values = colors.expand(views, *colors.shape[1:])
    values = torch.cat([values, depths[..., None]], dim=-1) if depth else values
    _, tiles, order = isect_tiles(
        means2d, radii, depths, TILE, across, down, packed=False, n_images=views
    )
    drawn = tiles_in(boxes, across, down)
    image, alpha = rasterize_to_pixels(
        means2d, conics, values, opacities.expand(views, -1), width, height, TILE,
        isect_offset_encode(tiles, views, across, down), order, masks=drawn,
    )  # fmt: skip
    # What gsplat leaves out of alpha is memory that nobody has written.
    pixels = drawn.repeat_interleave(TILE, dim=1).repeat_interleave(TILE, dim=2)
    alpha = torch.where(pixels[:, :height, :width, None], alpha, 0.0).permute(0, 3, 1, 2)
    image = image.permute(0, 3, 1, 2)
    rgb = image[:, :3] + (1 - alpha) * background[:, :, None, None]
    return RenderOutput(rgb, alpha, image[:, 3:] if depth else None)


def tiles_in(boxes: Tensor, across: int, down: int) -> Tensor:
    """Which tiles boxes [V, 4] touch, [V, down, across] bool, on their device."""
    left, top, right, bottom = (edge[:, None] for edge in boxes.unbind(dim=1))
    columns, rows = (TILE * torch.arange(n, device=boxes.device) for n in (across, down))
    in_columns = (columns < right) & (columns + TILE > left) & (left < right)
    in_rows = (rows < bottom) & (rows + TILE > top) & (top < bottom)
    return in_rows[:, :, None] & in_columns[:, None, :]


def _check_constants(max_alpha: float) -> None:
    """Raise unless gsplat's compiled-in constants are ours.

    Raises:
        BackendError: If they are not.
    """
    if max_alpha != ALPHA_MAX:
        raise BackendError(
            f"render: backend 'gsplat' expected max_alpha {ALPHA_MAX:g}, got {max_alpha:g}. It is "
            "compiled into gsplat; use backend='cpu' for another one."
        )
    installed = version("gsplat")
    if tuple(int(part) for part in installed.split(".")[:2]) >= (1, 6):
        raise BackendError(
            f"render: backend 'gsplat' expected gsplat below 1.6, got {installed}, which limits "
            "alpha to 0.99. Run `pip install 'gsplat>=1.5.3,<1.6'`, or use backend='cpu'."
        )


def _matrices(fxfycxcy: Tensor) -> Tensor:
    """Intrinsics [V, 4] as matrices [V, 3, 3]."""
    matrices = torch.zeros(len(fxfycxcy), 3, 3, dtype=fxfycxcy.dtype, device=fxfycxcy.device)
    matrices[:, 0, 0], matrices[:, 1, 1] = fxfycxcy[:, 0], fxfycxcy[:, 1]
    matrices[:, 0, 2], matrices[:, 1, 2] = fxfycxcy[:, 2], fxfycxcy[:, 3]
    matrices[:, 2, 2] = 1
    return matrices
