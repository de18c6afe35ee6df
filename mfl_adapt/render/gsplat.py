"""The CUDA rasterizer: one call of gsplat. No other file imports gsplat."""

from importlib.metadata import version

import torch
from torch import Tensor

from mfl_adapt.errors import BackendError
from mfl_adapt.render.protocol import ALPHA_MAX, FAR, SCREEN_BLUR
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

    Returns:
        The pictures, [V, ..., H, W].

    Raises:
        BackendError: If another ``max_alpha`` is asked for, or gsplat draws by other constants.
    """
    _check_constants(max_alpha)
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
        tile_size=16,
        backgrounds=background,
        render_mode="RGB+D" if depth else "RGB",
        rasterize_mode="classic",
        camera_model="pinhole",
    )
    image = image.permute(0, 3, 1, 2)
    return RenderOutput(image[:, :3], alpha.permute(0, 3, 1, 2), image[:, 3:] if depth else None)


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
