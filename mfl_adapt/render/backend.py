"""Which rasterizer draws, and the one function that everybody calls."""

import logging
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import BackendError, RangeError, ShapeError
from mfl_adapt.render.protocol import FAR, Rasterizer
from mfl_adapt.render.sh import colors_from_sh
from mfl_adapt.types import Cameras, Gaussians, RenderOutput

Backend = Literal["auto", "gsplat", "cpu", "torch"]

_log = logging.getLogger(__name__)


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: float | Tensor = 1.0,
    near: float = 0.2,
    backend: Backend = "auto",
    depth: bool = True,
    boxes: Tensor | None = None,
) -> RenderOutput:
    """Draw Gaussians through pinhole cameras.

    Differentiable in the five fields of the Gaussians, in ``cameras.c2w`` and in a ``background``
    tensor; not in ``fxfycxcy``. Works in float32 whatever autocast says; only the torch backend
    keeps float64. Gaussians that no pixel sees, or whose geometry holds NaN, get zero gradients.

    Args:
        gaussians: B scenes of N Gaussians, activated values.
        cameras: c2w [B, V, 4, 4] and fxfycxcy [B, V, 4], numpy or torch; moved to the device
            of the Gaussians.
        background: Colour behind everything: a number, [3] or [B, V, 3].
        near: Gaussians nearer than this along z are not drawn, in world units.
        backend: ``gsplat`` needs CUDA tensors, ``cpu`` needs numba, ``torch`` is the slow
            reference. ``auto`` takes gsplat on CUDA, else cpu, else torch, and logs its choice.
        depth: Whether to draw depth.
        boxes: Where to draw, [B, V, 4] whole pixels: first column and row, then one past the last
            of each; empty where those are equal. Pictures keep their size, and within the boxes
            their colours and gradients: only time is saved. What lies outside is up to the
            backend, either drawn or background. None draws everything.

    Returns:
        rgb [B, V, 3, H, W] (not clamped), alpha and depth [B, V, 1, H, W].

    Raises:
        ShapeError: If the shapes of Gaussians, cameras and background do not agree.
        RangeError: If a camera is not finite or not invertible, ``near`` is not positive, or a box
            leaves the picture.
        BackendError: If the backend is unknown or cannot run here.
    """
    _check_shapes(gaussians, cameras)
    check_range("render: near", near, 1e-6, FAR, hint="Give a distance before the camera.")
    means = gaussians.means
    rasterize, dtype = choose_rasterizer(backend, means)
    c2w = torch.as_tensor(cameras.c2w).to(means.device)
    fxfycxcy = torch.as_tensor(cameras.fxfycxcy).to(means.device, dtype)
    _check_intrinsics(fxfycxcy)
    if boxes is not None:
        boxes = _check_boxes(boxes, cameras).to(means.device)
    # Positions in bfloat16 would move splats by whole pixels, so autocast ends here.
    with torch.autocast(means.device.type, enabled=False):
        behind = _expand_background(background, cameras.shape).to(means.device, dtype)
        viewmats = _world_to_camera(c2w).to(dtype)
        pictures = []
        for b in range(len(cameras)):
            scene = gaussians[b]
            points, sh = scene.means.to(dtype), scene.sh.to(dtype)
            picture = rasterize(
                points,
                scene.quats.to(dtype),
                scene.scales.to(dtype),
                scene.opacities.to(dtype),
                colors_from_sh(sh, points, c2w[b, :, :3, 3].to(dtype)),
                viewmats[b],
                fxfycxcy[b],
                cameras.width,
                cameras.height,
                background=behind[b],
                near=near,
                depth=depth,
                boxes=None if boxes is None else boxes[b],
            )
            pictures.append(picture)
    rgb = torch.stack([picture.rgb for picture in pictures])
    alpha = torch.stack([picture.alpha for picture in pictures])
    depths = [picture.depth for picture in pictures if picture.depth is not None]
    return RenderOutput(rgb, alpha, torch.stack(depths) if depths else None)


def choose_rasterizer(backend: str, means: Tensor) -> tuple[Rasterizer, torch.dtype]:
    """The function that will draw, and the number format it works in.

    Args:
        backend: One of ``auto``, ``gsplat``, ``cpu`` and ``torch``.
        means: Positions of the Gaussians; their device and dtype count.

    Returns:
        The rasterizer and float32, or float64 where the torch backend meets float64.

    Raises:
        BackendError: If the backend is unknown or cannot run here.
    """
    if backend not in get_args(Backend):
        raise BackendError(
            f"render: backend: expected one of {', '.join(get_args(Backend))}, got {backend!r}. "
            "Use 'auto' for the fastest one that runs here."
        )
    name = _choose(means.device.type) if backend == "auto" else backend
    if name == "gsplat":
        _check_cuda(means)
        from mfl_adapt.render.gsplat import rasterize as rasterize_gsplat

        return rasterize_gsplat, torch.float32
    if name == "cpu":
        _check_cpu(means)
        from mfl_adapt.render.cpu import rasterize as rasterize_cpu

        return rasterize_cpu, torch.float32
    from mfl_adapt.render.reference import rasterize as rasterize_torch

    return rasterize_torch, torch.float64 if means.dtype == torch.float64 else torch.float32


@cache  # so that each choice is logged once
def _choose(device_type: str) -> str:
    """What ``auto`` means for Gaussians on this kind of device."""
    numba_error = _numba_error() if device_type == "cpu" else None
    if numba_error is not None:
        _log.warning(
            "render: drawing with the slow torch backend, as numba cannot be imported (%s). "
            "Run `pip install numba` for one that is ten times faster.",
            numba_error,
        )
        return "torch"
    name = {"cuda": "gsplat", "cpu": "cpu"}.get(device_type, "torch")
    _log.info("render: drawing with the %s backend, as the Gaussians are on %s", name, device_type)
    return name


@cache
def _numba_error() -> str | None:
    """Why numba cannot be imported; None if it can."""
    try:
        import numba  # noqa: F401  # numba refuses a numpy that is newer than itself
    except ImportError as error:
        return str(error).splitlines()[0]
    return None


def _check_cuda(means: Tensor) -> None:
    """Raise unless gsplat can draw these Gaussians.

    Raises:
        BackendError: If they are not on a CUDA device.
    """
    if means.is_cuda:
        return
    remedy = "Move the Gaussians to CUDA" if torch.cuda.is_available() else "There is no CUDA here"
    raise BackendError(
        f"render: backend 'gsplat' expected Gaussians on a CUDA device, got {means.device}. "
        f"{remedy}, or use backend='cpu'."
    )


def _check_cpu(means: Tensor) -> None:
    """Raise unless the compiled CPU kernels can draw these Gaussians.

    Raises:
        BackendError: If they are not on the CPU, or numba cannot be imported.
    """
    if means.device.type != "cpu":
        raise BackendError(
            f"render: backend 'cpu' expected Gaussians on the CPU, got {means.device}. "
            "Move them with .cpu(), or use backend='auto'."
        )
    if error := _numba_error():
        raise BackendError(
            f"render: backend 'cpu' expected numba, got an error on importing it: {error}. "
            "Run `pip install numba`, or use backend='torch'."
        )


def _check_shapes(gaussians: Gaussians, cameras: Cameras) -> None:
    """Hold the fields of the Gaussians to one another and to the cameras.

    Raises:
        ShapeError: If they do not agree, or there is no scene, no view or no pixel.
    """
    check_shape("render: gaussians.means", gaussians.means, (None, None, 3))
    scenes, n = gaussians.means.shape[:2]
    check_shape("render: gaussians.quats", gaussians.quats, (scenes, n, 4))
    check_shape("render: gaussians.scales", gaussians.scales, (scenes, n, 3))
    check_shape("render: gaussians.opacities", gaussians.opacities, (scenes, n))
    check_shape("render: gaussians.sh", gaussians.sh, (scenes, n, None, 3))
    hint = "Give one row of cameras per scene, [B, V, ...]."
    check_shape("render: cameras.c2w", cameras.c2w, (scenes, None, 4, 4), hint=hint)
    sizes = [*cameras.shape, cameras.height, cameras.width]
    if min(sizes) < 1:
        raise ShapeError(
            f"render: expected at least one scene, view and pixel, got {sizes} of B, V, H, W."
        )


def _check_intrinsics(fxfycxcy: Tensor) -> None:
    """Raise unless the intrinsics are finite and the focal lengths positive.

    Raises:
        RangeError: If they are not.
    """
    check_finite("render: cameras.fxfycxcy", fxfycxcy)
    smallest = float(fxfycxcy[..., :2].min())
    if not smallest > 0:
        raise RangeError(
            f"render: cameras.fxfycxcy: expected positive focal lengths, got {smallest:g}. "
            "The order is fx, fy, cx, cy, in pixels."
        )


def _check_boxes(boxes: Tensor, cameras: Cameras) -> Tensor:
    """Return boxes as int64 after a look at their numbers.

    Raises:
        ShapeError: If there is not one for each view.
        RangeError: If one leaves its picture, ends before it begins, or is not in whole pixels.
    """
    hint = "Give first column and row, then one past the last of each."
    check_shape("render: boxes", boxes, (*cameras.shape, 4), hint=hint)
    ends = torch.tensor([cameras.width, cameras.height], device=boxes.device)
    first, last = boxes[..., :2], boxes[..., 2:]
    within = (first >= 0) & (last >= first) & (last <= ends)
    if boxes.is_floating_point() or not bool(within.all()):
        raise RangeError(
            f"render: boxes: expected whole pixels within {cameras.height} x {cameras.width}, got "
            f"{boxes.dtype} from {boxes.amin().item():g} to {boxes.amax().item():g}. {hint}"
        )
    return boxes.long()


def _world_to_camera(c2w: Tensor) -> Tensor:
    """Invert camera poses in float64.

    Raises:
        RangeError: If a pose is not finite or has no inverse.
    """
    check_finite("render: cameras.c2w", c2w)
    inverse, failed = torch.linalg.inv_ex(c2w.double())
    if bool(failed.any()):
        raise RangeError(
            "render: cameras.c2w: expected poses that have an inverse, got a singular one at "
            f"[scene, view] {failed.nonzero()[0].tolist()}. A pose is a rotation and a centre."
        )
    return inverse


def _expand_background(background: float | Tensor, shape: tuple[int, ...]) -> Tensor:
    """The background as [B, V, 3].

    Raises:
        ShapeError: If it is neither a number nor [3] nor [B, V, 3].
    """
    color = torch.as_tensor(background)
    if list(color.shape) not in ([], [3], [*shape, 3]):
        raise ShapeError(
            f"render: background: expected a number, [3] or {[*shape, 3]}, got "
            f"{list(color.shape)}. Give red, green and blue along the last axis."
        )
    return color.expand(*shape, 3)
