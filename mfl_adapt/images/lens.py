"""Pictures without the bending of a lens: one closed form per new pixel, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import lens
from mfl_adapt.errors import DataError
from mfl_adapt.images.resample import Frame, resample

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, RawCamera

# A calibration that loses half of its own picture belongs to another lens model.
_LEAST_KEPT = 0.5
_PROBES = 33


def straighten(
    rgb: Bytes, mask: Bytes | None, camera: RawCamera, source: str
) -> tuple[Bytes, Bytes | None]:
    """Undo lens and skew; focal lengths, principal point and size stay.

    Args:
        rgb: Raw colour, [H, W, 3] uint8 or uint16.
        mask: Raw alpha, [H, W] uint8, or None.
        camera: The recording's camera.
        source: Where the picture came from, for messages.

    Returns:
        The pinhole picture of the same camera and its mask. What lies beyond the fold of the
        lens model is outside the mask, and white without one.

    Raises:
        DataError: If the lens model folds within half of the picture.
    """

    def grid(x: Any, y: Any) -> tuple[Any, Any]:
        fx, fy, cx, cy = camera.fxfycxcy
        rays = np.stack(np.broadcast_arrays((x - cx) / fx, (y - cy) / fy), axis=-1)
        pixels = lens.to_pixels(lens.distort(rays, camera), camera).astype(np.float32)
        return pixels[..., 0], pixels[..., 1]

    height, width = camera.height, camera.width
    x = np.linspace(0.0, width, _PROBES)[None, :]
    y = np.linspace(0.0, height, _PROBES)[:, None]
    kept = float(np.isfinite(grid(x, y)[0]).mean())
    if kept < _LEAST_KEPT:
        raise DataError(
            f"{source}: expected a lens model that is invertible over the picture, got one that "
            f"folds and leaves {100 * kept:.0f} % of it. Check lens model, order and units of the "
            f"distortion coefficients."
        )
    window = (0, height, 0, width)
    return resample(rgb, mask, Frame(height, width, 1, grid, window))
