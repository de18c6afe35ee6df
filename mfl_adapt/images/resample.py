"""Pixels on a new grid: anti-aliased, weighted by the mask, 8 or 16 bits.

A grid says for every point of the new picture where it lies in the old one. Colours are
multiplied by the mask before they are mixed and divided by it afterwards, so that nothing bleeds
in from behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.images.depth import largest

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float

# Sample points held at once: four float32 layers of them stay in the processor's cache.
_BAND_SAMPLES = 131_072
# OpenCV's cubic looks this far beyond a sample point, in old pixels.
_REACH = 3
# With more samples a side than this, their mean hides a cubic's extra sharpness, and linear
# interpolation costs a quarter.
_CUBIC_UP_TO = 2
_OPAQUE = np.float32(255.0)

Grid = Callable[[Any, Any], tuple[Any, Any]]
"""From x [1, N] and y [M, 1] in new pixels to the old pixels' x and y, [M, N] float32 each; NaN
where the old picture has nothing to show."""


class Frame(NamedTuple):
    """The new picture's grid.

    Attributes:
        height: Rows of the new picture.
        width: Columns of the new picture.
        samples: Sample points along one side of a new pixel.
        grid: Where new points lie in the old picture.
        window: Rows and columns of the old picture that are needed, top, bottom, left, right.
        inside: Whether the old picture shows all of the new one.
    """

    height: int
    width: int
    samples: int
    grid: Grid
    window: tuple[int, int, int, int]
    inside: bool = False


def resample(rgb: Bytes, mask: Bytes | None, frame: Frame) -> tuple[Bytes, Bytes | None]:
    """Sample colour and mask on a new grid.

    Args:
        rgb: Straight colour, [H, W, 3] uint8 or uint16.
        mask: Alpha, [H, W] uint8, or None.
        frame: The new grid.

    Returns:
        Colour of the same type and the mask. What the old picture does not show is outside the
        new mask; without a mask the nearest pixel of the old border is repeated, and where no
        ray leads to the old picture the colour is white.
    """
    import cv2

    top, bottom, left, right = frame.window
    cut = (slice(top, bottom), slice(left, right))
    layers = _premultiplied(rgb[cut], None if mask is None else mask[cut])
    new_rgb = np.empty((frame.height, frame.width, 3), rgb.dtype)
    new_mask = None if mask is None else np.empty((frame.height, frame.width), np.uint8)
    samples = frame.samples
    rows = max(1, _BAND_SAMPLES // (frame.width * samples**2))
    x = (np.arange(frame.width * samples)[None, :] + 0.5) / samples
    for start in range(0, frame.height, rows):
        count = min(rows, frame.height - start)
        y = start + (np.arange(count * samples)[:, None] + 0.5) / samples
        old_x, old_y = frame.grid(x, y)
        shown = None if frame.inside else _shown(old_x, old_y, rgb.shape, mask is not None)
        old_x -= np.float32(left)
        old_y -= np.float32(top)
        band = _remap(layers, old_x, old_y, samples)
        if shown is not None:
            band[~shown] = largest(rgb.dtype) if mask is None else 0
        if samples > 1:
            band = cv2.resize(band, (frame.width, count), interpolation=cv2.INTER_AREA)
        lines = slice(start, start + count)
        _straighten(band, new_rgb[lines], None if new_mask is None else new_mask[lines])
    return new_rgb, new_mask


def window_of(points: Float, height: int, width: int) -> tuple[int, int, int, int]:
    """Rows and columns of the old picture around points [P, 2]; at least one of each."""
    low = np.floor(points.min(axis=0)) - _REACH
    high = np.ceil(points.max(axis=0)) + _REACH
    left, top = (int(value) for value in np.clip(low, 0, [width - 1, height - 1]))
    right, bottom = (int(value) for value in np.clip(high, 1, [width, height]))
    return top, max(bottom, top + 1), left, max(right, left + 1)


def _premultiplied(rgb: Bytes, mask: Bytes | None) -> Any:
    """Colour times mask, and the mask, [H, W, 4] float32; colour alone without a mask."""
    if mask is None:
        return rgb.astype(np.float32)
    layers = np.zeros((*mask.shape, 4), np.float32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return layers
    # An animal covers a small part of a raw frame, and the rest stays zero.
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    alpha = mask[box].astype(np.float32)
    layers[box][:, :, 3] = alpha
    colour = rgb[box].astype(np.float32)
    colour *= (alpha / _OPAQUE)[:, :, None]
    layers[box][:, :, :3] = colour
    return layers


def _remap(layers: Any, x: Any, y: Any, samples: int) -> Any:
    """Interpolate; OpenCV counts pixel centres from 0, hence the half pixel."""
    import cv2

    method = cv2.INTER_CUBIC if samples <= _CUBIC_UP_TO else cv2.INTER_LINEAR
    half = np.float32(0.5)
    return cv2.remap(layers, x - half, y - half, method, borderMode=cv2.BORDER_REPLICATE)


def _shown(x: Any, y: Any, shape: tuple[int, ...], has_mask: bool) -> Any:
    """Which points the old picture shows, [M, N]; the others are made safe to look up, in place.

    Without a mask every point with a ray counts: beyond the border its nearest pixel is repeated.
    """
    shown = ~np.isnan(x)
    if has_mask:
        # A comparison with NaN is False, so that points without a ray are outside.
        shown = (x >= 0) & (x <= shape[1]) & (y >= 0) & (y <= shape[0])
    for values, size in ((x, shape[1]), (y, shape[0])):
        # Of a number and NaN, fmax takes the number.
        np.fmax(values, -_REACH, out=values)
        np.fmin(values, size + _REACH, out=values)
    return shown


def _straighten(band: Any, rgb: Any, mask: Any) -> None:
    """Undo the premultiplication, clip, since a cubic overshoots, and round; into ``rgb``."""
    top = np.float32(largest(rgb.dtype))
    if mask is not None:
        alpha = band[:, :, 3]
        np.copyto(mask, np.rint(np.clip(alpha, 0, _OPAQUE)), casting="unsafe")
        # Colour and alpha overshoot alike, so their ratio is taken before either is clipped.
        factor = np.where(mask > 0, _OPAQUE / np.maximum(alpha, np.float32(0.5)), 0)
        band = band[:, :, :3] * factor[:, :, None].astype(np.float32)
    np.copyto(rgb, np.rint(np.clip(band, 0, top)), casting="unsafe")
