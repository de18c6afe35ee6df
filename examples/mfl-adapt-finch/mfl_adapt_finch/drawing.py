"""Draws an aviary by meeting every ray of a picture with every ellipsoid, exactly.

Rays come from OpenCV's own camera model (``undistortPoints``), not from ``mfl_adapt``: a reader
that misunderstood a convention would disagree with these pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .bird import Ellipsoid

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

FINE = 2
"""Rays per pixel and axis."""
# Light is fixed in the world, so that a surface has one colour from all sides.
_LIGHT, _AMBIENT = np.array([0.35, -0.45, 0.82]), 0.58
_WALL, _PLANK, _SAND = (0.85, 0.86, 0.83), (0.79, 0.79, 0.75), (0.74, 0.68, 0.55)
_ROOM = np.array([[-1500.0, -1500.0, 0.0], [1500.0, 1500.0, 2300.0]])
_PLANK_MM = 180.0


@dataclass(frozen=True, slots=True, eq=False)
class LabCamera:
    """A camera in OpenCV's own terms.

    Attributes:
        name: As its folder is called.
        size: Width and height in pixels.
        matrix: Intrinsics [3, 3]; the centre of the first pixel is (0, 0).
        bend: k1 k2 p1 p2 k3.
        turn: Rotation vector, world to camera, [3].
        shift: Translation, world to camera, in mm, [3].
    """

    name: str
    size: tuple[int, int]
    matrix: "Float"
    bend: "Float"
    turn: "Float"
    shift: "Float"

    def project(self, points: "Float") -> "Float":
        """Pixels [P, 2] of world points [P, 3], by OpenCV."""
        pixels, _ = cv2.projectPoints(points, self.turn, self.shift, self.matrix, self.bend)
        return np.asarray(pixels, np.float64).reshape(-1, 2)

    def rays(self, pixels: "Float") -> tuple["Float", "Float"]:
        """Centre [3], and directions [P, 3] of length 1 along z, in the world."""
        criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 60, 1e-12)
        flat = cv2.undistortPoints(
            pixels.reshape(-1, 1, 2), self.matrix, self.bend, criteria=criteria
        ).reshape(-1, 2)
        rotation = cv2.Rodrigues(self.turn)[0]
        ahead = np.column_stack([flat, np.ones(len(flat))])
        return -rotation.T @ self.shift, ahead @ rotation


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """An aviary without a bird as a camera sees it, with ``FINE`` x ``FINE`` rays a pixel.

    Attributes:
        colours: In [0, 1], [FINE H, FINE W, 3].
        depth: Of the perches along z, in mm; infinite where there is none, [FINE H, FINE W].
        picture: The same as the camera takes it, [H, W, 3].
    """

    colours: "Float"
    depth: "Float"
    picture: "Bytes"


def draw_backdrop(camera: LabCamera, perches: Sequence[Ellipsoid]) -> Backdrop:
    """Draw the room and its perches."""
    width, height = camera.size
    center, rays = camera.rays(_fine_pixels(0, 0, width, height))
    colours, depth = _meet(center, rays, perches)
    room = np.where(np.isfinite(depth)[:, None], colours, _paint_room(center, rays))
    shape = (FINE * height, FINE * width)
    colours = room.reshape(*shape, 3)
    return Backdrop(colours, depth.reshape(shape), _to_bytes(colours))


def draw_bird(
    camera: LabCamera, backdrop: Backdrop, parts: Sequence[Ellipsoid]
) -> tuple["Bytes", "Bytes"]:
    """Draw a bird before its backdrop.

    Args:
        camera: Whose picture it is.
        backdrop: Of the same camera.
        parts: The bird.

    Returns:
        Picture [H, W, 3], and mask [H, W]: 255 where the bird fills more than half of a pixel.
    """
    picture = backdrop.picture.copy()
    mask = np.zeros(picture.shape[:2], np.uint8)
    left, top, right, bottom = _window(camera, parts)
    if right <= left or bottom <= top:
        return picture, mask
    coarse = np.s_[top:bottom, left:right]
    fine = np.s_[FINE * top : FINE * bottom, FINE * left : FINE * right]
    center, rays = camera.rays(_fine_pixels(left, top, right, bottom))
    colours, depth = _meet(center, rays, parts)
    shape = backdrop.depth[fine].shape
    bird = depth.reshape(shape) < backdrop.depth[fine]
    mixed = np.where(bird[..., None], colours.reshape(*shape, 3), backdrop.colours[fine])
    picture[coarse] = _to_bytes(mixed)
    mask[coarse] = np.where(_average(bird) > 0.5, 255, 0)
    return picture, mask


def _to_bytes(colours: "Float") -> "Bytes":
    """Picture [H, W, 3] of colours [FINE H, FINE W, 3] in [0, 1]."""
    return np.round(255.0 * _average(colours)).astype(np.uint8)


def _average(fine: "Float | Mask") -> "Float":
    """Mean over the rays of each pixel."""
    height, width, *rest = fine.shape
    cells = fine.reshape(height // FINE, FINE, width // FINE, FINE, *rest)
    return np.asarray(cells.mean(axis=(1, 3)))


def _fine_pixels(left: int, top: int, right: int, bottom: int) -> "Float":
    """Where rays go through a window of pixels, row by row, [P, 2]; pixel centres are integers."""
    steps = (np.arange(FINE) + 0.5) / FINE - 0.5
    xs = (np.arange(left, right)[:, None] + steps).ravel()
    ys = (np.arange(top, bottom)[:, None] + steps).ravel()
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)


def _window(camera: LabCamera, parts: Sequence[Ellipsoid]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that can show any part."""
    # An ellipsoid lies within the box of its axes, and the box within the hull of its corners.
    corners = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3)
    points = np.concatenate([one.center + (corners * one.radii) @ one.axes.T for one in parts])
    pixels = camera.project(points)
    low, high = np.floor(pixels.min(axis=0)) - 1, np.ceil(pixels.max(axis=0)) + 2
    (left, top), (right, bottom) = (np.clip(one, 0, camera.size).astype(int) for one in (low, high))
    return int(left), int(top), int(right), int(bottom)


def _meet(center: "Float", rays: "Float", parts: Sequence[Ellipsoid]) -> tuple["Float", "Float"]:
    """Colour [P, 3] and depth [P] of the nearest part on each ray; depth is infinite at none."""
    colours, nearest = np.zeros((len(rays), 3)), np.full(len(rays), np.inf)
    for part in parts:
        # Where the part is the unit sphere, the ray keeps its parameter.
        start = ((center - part.center) @ part.axes) / part.radii
        steps = (rays @ part.axes) / part.radii
        a, b = np.einsum("pi,pi->p", steps, steps), steps @ start
        inside = b**2 - a * (start @ start - 1.0)
        met = np.flatnonzero(inside > 0)
        depth = (-b[met] - np.sqrt(inside[met])) / a[met]
        ahead = (depth > 0) & (depth < nearest[met])
        hit, depth = met[ahead], depth[ahead]
        colours[hit] = _shade(part, start + depth[:, None] * steps[hit])
        nearest[hit] = depth
    return colours, nearest


def _shade(part: Ellipsoid, sphere: "Float") -> "Float":
    """Colour of points [P, 3] of the unit sphere that a part is."""
    normals = (sphere / part.radii) @ part.axes.T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = _AMBIENT + (1.0 - _AMBIENT) * np.clip(normals @ _LIGHT, 0.0, 1.0)
    above = np.clip(2.5 * sphere[:, 2:] + 1.4, 0.0, 1.0)
    return light[:, None] * (above * np.array(part.colour) + (1 - above) * np.array(part.under))


def _paint_room(center: "Float", rays: "Float") -> "Float":
    """Colour of the walls of planks and the floor of sand, [P, 3]."""
    with np.errstate(divide="ignore"):
        walls = np.where(rays > 0, _ROOM[1] - center, _ROOM[0] - center) / rays
    points = center + walls.min(axis=1, keepdims=True) * rays
    plank = np.floor(points[:, 2] / _PLANK_MM) % 2 == 0
    colours = np.where(plank[:, None], _PLANK, _WALL)
    colours = np.where(points[:, 2:] < 1e-6, _SAND, colours)
    corner = np.abs(points[:, :2]).max(axis=1) / _ROOM[1, 0]
    return colours * (0.8 + 0.2 * corner[:, None])
