"""Picture, mask and camera of one view, moved by the same map.

A map is a 3x3 matrix from old to new pixel coordinates, pixel centres at +0.5. With a camera
x ~ K R (X - C), the warped picture is x' ~ H K R (X - C), and H K splits uniquely into new
intrinsics and a further rotation. So a resize, a crop or a turn of the camera about its centre
is exact for any scene; a map that no pinhole camera can follow (shear, mirror) is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import RangeError
from mfl_adapt.images.depth import to_8_bit
from mfl_adapt.images.resample import Frame, Grid, resample, window_of

if TYPE_CHECKING:
    from mfl_adapt.types import Float, View

# Largest skew, relative to the focal length, that is taken for rounding: 1e-5 px at most.
_SKEW = 1e-8
_LARGEST_SIDE = 32767
_MOST_SAMPLES = 16


def resize_map(old_size: tuple[int, int], new_size: tuple[int, int]) -> Float:
    """Pixel map of a resize; sizes are (height, width)."""
    return np.diag([new_size[1] / old_size[1], new_size[0] / old_size[0], 1.0])


def to_rows(pixel_map: Float) -> tuple[tuple[float, float, float], ...]:
    """Write a map as a ``Provenance`` keeps it."""
    return tuple((float(a), float(b), float(c)) for a, b, c in pixel_map)


def oriented(pixel_map: Float, height: int, width: int) -> Float:
    """Give a map the sign under which the old picture's middle is before the new camera.

    Raises:
        ShapeError: If the map is not 3x3.
        RangeError: If it is not finite, or sends the middle to infinity.
    """
    pixel_map = np.asarray(pixel_map, np.float64)
    check_shape("pixel_map", pixel_map, [3, 3])
    check_finite("pixel_map", pixel_map)
    depth = float(pixel_map[2] @ [width / 2, height / 2, 1.0])
    if depth == 0.0:
        raise RangeError(
            "pixel_map: expected one that keeps the picture's middle in front of the camera, got "
            "one that sends it to infinity. Turn the camera less."
        )
    return pixel_map * np.sign(depth)


def warp_view(view: View, pixel_map: Float, height: int, width: int, bits: int = 16) -> View:
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
        bits: 8 rounds a 16-bit picture to 8 bits, 16 leaves the kind as it is.

    Returns:
        The same view through the new camera. An identity map returns the same pixels.

    Raises:
        ShapeError: If the map is not 3x3.
        RangeError: If no camera can follow the map, or the new size is not a picture's.
    """
    check_range("warp: height", height, 1, _LARGEST_SIDE)
    check_range("warp: width", width, 1, _LARGEST_SIDE)
    pixel_map = oriented(pixel_map, view.height, view.width)
    c2w, fxfycxcy = warp_camera(view.c2w, view.fxfycxcy, pixel_map)
    rgb, mask = view.rgb, view.mask
    same_size = (height, width) == (view.height, view.width)
    if not (same_size and np.array_equal(pixel_map, np.eye(3))):
        rgb, mask = resample(rgb, mask, _frame(view, pixel_map, height, width))
    if bits == 8:
        rgb = to_8_bit(rgb)
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
            "warp: expected a pixel map that keeps the picture's orientation, got one that "
            "mirrors or flattens it. A mirrored picture has no camera; do not flip pictures."
        )
    intrinsics, turn = rq(camera)
    signs = np.diag(np.sign(np.diag(intrinsics)))
    intrinsics, turn = intrinsics @ signs, signs @ turn
    intrinsics = intrinsics / intrinsics[2, 2]
    skew = abs(intrinsics[0, 1]) / intrinsics[0, 0]
    if skew > _SKEW:
        raise RangeError(
            f"warp: expected a pixel map without shear, got a skew of {skew:.2g} focal lengths. "
            f"Use the same scale along x and y when turning a picture."
        )
    moved = np.array(c2w, dtype=np.float64)
    # A resize or crop leaves the axes alone, and then the pose keeps its very bits.
    if not np.allclose(turn, np.eye(3), rtol=0, atol=1e-15):
        moved[:3, :3] = moved[:3, :3] @ turn.T
    return moved, intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]


def _frame(view: View, pixel_map: Float, height: int, width: int) -> Frame:
    back = np.asarray(np.linalg.inv(pixel_map), np.float64)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ back.T
    window, inside = (0, view.height, 0, view.width), False
    if (corners[:, 2] > 0).all():
        points = corners[:, :2] / corners[:, 2:]
        window = window_of(points, view.height, view.width)
        inside = bool(((points >= 0) & (points <= [view.width, view.height])).all())
    samples = _samples_per_pixel(pixel_map, view)
    return Frame(height, width, samples, _homography(back), window, inside)


def _homography(back: Float) -> Grid:
    def grid(x: Any, y: Any) -> tuple[Any, Any]:
        # Sums of a row and a column, rounded to float32 at last: 1e-4 px at most.
        column, row = back[:, 0, None] * x, back[:, 1, None] * y.T + back[:, 2, None]
        column, row = column.astype(np.float32), row.astype(np.float32)
        old_x, old_y, depth = (column[i][None, :] + row[i][:, None] for i in range(3))
        if back[2, 0] == 0.0 and back[2, 1] == 0.0:
            one = np.float32(back[2, 2])
            return (old_x, old_y) if one == 1 else (old_x / one, old_y / one)
        # Behind the old camera a point has a mirrored image that must not be picked up.
        depth[depth <= 0] = np.nan
        old_x /= depth
        old_y /= depth
        return old_x, old_y

    return grid


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
