"""The one way to move pixels: picture, mask and camera by the same map.

A map is a 3x3 matrix from old to new pixel coordinates, pixel centres at +0.5. With a camera
x ~ K R (X - C), the warped picture is x' ~ H K R (X - C), and H K splits uniquely into new
intrinsics and a further rotation. So a resize, a crop or a turn of the camera about its centre
is exact for any scene; a map that no pinhole camera can follow (shear, mirror) is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import pixel_grid
from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import RangeError

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float, View

# Largest skew, relative to the focal length, that is taken for rounding.
_SKEW = 1e-6
_LARGEST_SIDE = 32767
_MOST_SAMPLES = 16
# Sample points held at once, so that shrinking a large photograph needs no gigabytes.
_BAND_SAMPLES = 2_000_000


def resize_map(old_size: tuple[int, int], new_size: tuple[int, int]) -> Float:
    """Pixel map of a resize; sizes are (height, width)."""
    return np.diag([new_size[1] / old_size[1], new_size[0] / old_size[0], 1.0])


def warp_view(view: View, pixel_map: Float, height: int, width: int) -> View:
    """Resample a view and move its camera along.

    Pixels are averaged over their footprint where the map shrinks, and interpolated with a cubic
    where it does not; colours are weighted by the mask, so that nothing bleeds in from behind.
    What lies outside the old picture is outside the new mask; without a mask the nearest edge
    pixel is repeated.

    Args:
        view: View to change; it stays as it is.
        pixel_map: 3x3 from old to new pixel coordinates (x, y, 1).
        height: Height of the new picture.
        width: Width of the new picture.

    Returns:
        The same view through the new camera. An identity map returns the same pixels.

    Raises:
        ShapeError: If the map is not 3x3.
        RangeError: If no camera can follow the map, or the new size is not a picture's.
    """
    check_shape("warp_view: pixel_map", pixel_map, [3, 3])
    check_finite("warp_view: pixel_map", pixel_map)
    check_range("warp_view: height", height, 1, _LARGEST_SIDE)
    check_range("warp_view: width", width, 1, _LARGEST_SIDE)
    pixel_map = _in_front(np.asarray(pixel_map, np.float64), view)
    c2w, fxfycxcy = warp_camera(view.c2w, view.fxfycxcy, pixel_map)
    rgb, mask = view.rgb, view.mask
    same_size = (height, width) == (view.height, view.width)
    if not (same_size and np.array_equal(pixel_map, np.eye(3))):
        rgb, mask = _resample(view, pixel_map, height, width)
    return replace(view, rgb=rgb, mask=mask, c2w=c2w, fxfycxcy=fxfycxcy)


def warp_camera(c2w: Float, fxfycxcy: Float, pixel_map: Float) -> tuple[Float, Float]:
    """Camera that sees the warped picture; the centre never moves.

    Args:
        c2w: Camera to world, [4, 4].
        fxfycxcy: Focal lengths and principal point in pixels, [4].
        pixel_map: 3x3 from old to new pixel coordinates.

    Returns:
        New ``c2w`` and ``fxfycxcy``.

    Raises:
        RangeError: If the map mirrors or shears the picture, so that no pinhole camera fits.
    """
    from scipy.linalg import rq

    fx, fy, cx, cy = fxfycxcy
    camera = pixel_map @ np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if np.linalg.det(camera) <= 0:
        raise RangeError(
            "warp_camera: expected a pixel map that keeps the picture's orientation, got one that "
            "mirrors or flattens it. A mirrored picture has no camera; do not flip pictures."
        )
    intrinsics, turn = rq(camera)
    signs = np.diag(np.sign(np.diag(intrinsics)))
    intrinsics, turn = intrinsics @ signs, signs @ turn
    intrinsics = intrinsics / intrinsics[2, 2]
    skew = abs(intrinsics[0, 1]) / intrinsics[0, 0]
    if skew > _SKEW:
        raise RangeError(
            f"warp_camera: expected a pixel map without shear, got a skew of {skew:.2g} focal "
            f"lengths. Use the same scale along x and y when turning a picture."
        )
    moved = np.array(c2w, dtype=np.float64)
    # A resize or crop leaves the axes alone, and then the pose keeps its very bits.
    if not np.allclose(turn, np.eye(3), rtol=0, atol=1e-15):
        moved[:3, :3] = moved[:3, :3] @ turn.T
    return moved, intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]


def _in_front(pixel_map: Float, view: View) -> Float:
    # A homography has a free sign; the old picture's middle must end up before the new camera.
    middle = np.array([view.width / 2, view.height / 2, 1.0])
    depth = float(pixel_map[2] @ middle)
    if depth == 0.0:
        raise RangeError(
            "warp_view: expected a pixel map that keeps the picture's middle in front of the "
            "camera, got one that sends it to infinity."
        )
    return pixel_map * np.sign(depth)


def _resample(view: View, pixel_map: Float, height: int, width: int) -> tuple[Bytes, Bytes | None]:
    """Sample colour and mask on the new grid, several times per pixel where the map shrinks."""
    import cv2

    layers, back = _premultiplied(view), np.linalg.inv(pixel_map)
    samples = _samples_per_pixel(pixel_map, view)
    rows = max(1, _BAND_SAMPLES // (width * samples**2))
    bands = []
    for top in range(0, height, rows):
        count = min(rows, height - top)
        grid = pixel_grid(count * samples, width * samples) / samples
        grid[:, :, 1] += top
        coordinates, inside = _old_coordinates(grid, back, view)
        band = _remap(layers, coordinates)
        if view.mask is not None:
            band *= inside[:, :, None]
        if samples > 1:
            band = cv2.resize(band, (width, count), interpolation=cv2.INTER_AREA)
        bands.append(band)
    return _straight(np.concatenate(bands), has_mask=view.mask is not None)


def _samples_per_pixel(pixel_map: Float, view: View) -> int:
    """Samples along one side of a new pixel, so that no old pixel is skipped."""
    corners = np.array([[0.5, 0.0, 1.0, 0.0, 1.0], [0.5, 0.0, 0.0, 1.0, 1.0]]).T
    points = corners * [view.width, view.height]
    scales = [_local_scale(pixel_map, point) for point in points]
    least = min((scale for scale in scales if scale > 0), default=1.0)
    # 1e-9: a scale of exactly 1/2 needs two samples, not three.
    return min(_MOST_SAMPLES, max(1, int(np.ceil(1.0 / least - 1e-9))))


def _local_scale(pixel_map: Float, point: Float) -> float:
    """New pixels per old pixel at a point, along the direction that shrinks most; 0 behind."""
    x, y, depth = pixel_map @ [*point, 1.0]
    if depth <= 0:
        return 0.0
    slope = (pixel_map[:2, :2] - np.outer([x, y], pixel_map[2, :2]) / depth) / depth
    return float(np.linalg.svd(slope, compute_uv=False)[-1])


def _old_coordinates(grid: Float, back: Any, view: View) -> tuple[Any, Any]:
    """Old pixel coordinates of the sample points, and which lie in the old picture."""
    x, y, depth = np.moveaxis(grid @ back[:, :2].T + back[:, 2], -1, 0)
    # Behind the old camera a point has a mirrored image that must not be picked up.
    ahead = depth > 0
    depth = np.where(ahead, depth, 1.0)
    x, y = x / depth, y / depth
    inside = ahead & (x >= 0) & (x <= view.width) & (y >= 0) & (y <= view.height)
    return np.stack([x, y], axis=-1).astype(np.float32), inside.astype(np.float32)


def _remap(layers: Any, coordinates: Any) -> Any:
    """Cubic interpolation; OpenCV counts pixel centres from 0, hence the half pixel."""
    import cv2

    moved = coordinates - np.float32(0.5)
    return cv2.remap(layers, moved, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _premultiplied(view: View) -> Any:
    """Colour times mask, and the mask, [H, W, 4] float32 in [0, 255]; colour alone without one."""
    rgb = view.rgb.astype(np.float32)
    if view.mask is None:
        return rgb
    alpha = view.mask.astype(np.float32)[:, :, None]
    return np.concatenate([rgb * alpha / np.float32(255.0), alpha], axis=2)


def _straight(layers: Any, *, has_mask: bool) -> tuple[Bytes, Bytes | None]:
    """Undo the premultiplication, then clip, since a cubic overshoots, and round."""
    if not has_mask:
        return np.rint(np.clip(layers, 0, 255)).astype(np.uint8), None
    mask = np.rint(np.clip(layers[:, :, 3], 0, 255)).astype(np.uint8)
    # Colour and alpha overshoot alike, so their ratio is taken before either is clipped.
    alpha = layers[:, :, 3:]
    colour = np.where(mask[:, :, None] > 0, layers[:, :, :3] * 255 / np.maximum(alpha, 0.5), 0)
    return np.rint(np.clip(colour, 0, 255)).astype(np.uint8), mask
