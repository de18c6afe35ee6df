"""Gaussians on a turntable, as ready frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.checks import check_range
from mfl_adapt.errors import RangeError
from mfl_adapt.render import render
from mfl_adapt.types import Cameras, Gaussians

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mfl_adapt.render import Backend
    from mfl_adapt.types import RigContract

FRONT_DEG = 270.0
"""World azimuth of the camera that sees a subject from the front."""


def turntable_frames(
    gaussians: Gaussians,
    *,
    contract: RigContract,
    frames: int = 72,
    size: int | None = None,
    backend: Backend = "auto",
    elevation_deg: float = 0.0,
    background: float | Tensor | None = None,
    report: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Draw Gaussians from a full turn of cameras around world z.

    The first frame is the front (world azimuth 270 degrees); azimuths then rise in equal steps
    and the start is not repeated, so that the frames play as a loop.

    Args:
        gaussians: Activated values, [B, N, ...]; the first item is drawn.
        contract: Gives the cameras' distance and focal length, and the background.
        frames: Number of frames T.
        size: Side of the square frames in pixels; the contract's if None.
        backend: Rasterizer.
        elevation_deg: Elevation of all cameras.
        background: Colour behind the Gaussians in [0, 1], a number or [3]; the contract's if None.
        report: Called after each frame with the number done and T.

    Returns:
        [T, H, W, 3].

    Raises:
        RangeError: If there is no Gaussian, ``frames`` or ``size`` is below 1, or the elevation
            is at a pole.
    """
    check_elevation(elevation_deg)
    if gaussians.means.shape[1] == 0:
        raise RangeError(
            "turntable: expected at least one Gaussian, got none. Filter less, or look at the "
            "pictures that went in."
        )
    cameras = facelift_ring(
        frames,
        elevation_deg,
        contract.distance,
        contract.focal_ratio,
        size=contract.size if size is None else size,
        phase_deg=FRONT_DEG,
    )
    behind = contract.background if background is None else background
    return draw_frames(gaussians, cameras, background=behind, backend=backend, report=report)


def check_elevation(elevation_deg: float) -> None:
    """Raise where "up" would have no meaning.

    Raises:
        RangeError: If the elevation is at a pole, or is no number.
    """
    hint = "A turntable needs a side to look from."
    check_range("turntable: elevation_deg", elevation_deg, -89.0, 89.0, hint=hint)


def to_device(gaussians: Gaussians, backend: Backend) -> Gaussians:
    """Put Gaussians where a rasterizer draws best: on CUDA, if there is one and it may be used."""
    import torch

    if backend in {"cpu", "torch"} or not torch.cuda.is_available():
        return gaussians
    return Gaussians(*(getattr(gaussians, one.name).cuda() for one in fields(gaussians)))


def draw_frames(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: float | Tensor = 1.0,
    backend: Backend = "auto",
    report: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Draw Gaussians through each camera, one after another, to keep memory small.

    Args:
        gaussians: Activated values, [B, N, ...]; the first item is drawn.
        cameras: c2w [T, 4, 4] and fxfycxcy [T, 4].
        background: Colour behind the Gaussians in [0, 1], a number or [3].
        backend: Rasterizer.
        report: Called after each frame with the number done and T.

    Returns:
        [T, H, W, 3]; colours are clamped to [0, 1] and rounded.
    """
    import torch

    total = len(cameras)
    frames = np.empty((total, cameras.height, cameras.width, 3), np.uint8)
    with torch.no_grad():
        for index in range(total):
            camera = cameras[index : index + 1]
            one = Cameras(camera.c2w[None], camera.fxfycxcy[None], cameras.height, cameras.width)
            drawn = render(gaussians[:1], one, background=background, backend=backend, depth=False)
            rgb = drawn.rgb[0, 0].clamp(0, 1).mul(255).round().to(torch.uint8)
            frames[index] = rgb.permute(1, 2, 0).cpu().numpy()
            if report is not None:
                report(index + 1, total)
    return frames
