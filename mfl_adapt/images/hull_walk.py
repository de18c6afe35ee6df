"""Walks along rays, past the outlines of several views, to the first point that all of them hold.

At any point of a ray each view denies it by a distance in its own pixels. As a point moves along a
ray, its image moves along a line by a length known in closed form; so the walk leaps as far as the
strictest view allows and misses nothing longer than half a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.cameras import ray_directions, to_w2c

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float, View

INSIDE = 127
# Shortest step of a walk, in pixels of the view that decides it.
_LEAST_STEP_PX = 0.5
# The same as a share of the way through the rig: a ray that runs past another camera's centre has
# an image that races, and would stand still.
_LEAST_SHARE = 5e-5
_MOST_STEPS = 2000
# Views asked at a time; a point that they deny is not shown to the others.
_GROUP = 5
# OpenCV's remap takes no side beyond 32767, so points are folded into rows of this length.
_FOLD = 4096


class Rays(NamedTuple):
    """Rays through pixels.

    Attributes:
        origins: Camera centres in the world, [3, P].
        directions: Unit vectors in the world, [3, P].
        own: Index of the view that each ray belongs to, [P].
    """

    origins: Any
    directions: Any
    own: Any

    def pick(self, chosen: Any) -> Rays:
        """Keep some of the rays."""
        return Rays(self.origins[:, chosen], self.directions[:, chosen], self.own[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One view's mask as a field of distances.

    Attributes:
        index: Which view it is.
        camera: World to homogeneous pixels, [3, 4] float32.
        field: Distance to the outline in pixels, [H, W] float32; negative inside.
        open_edges: Whether the mask goes on beyond left, top, right and bottom.
    """

    index: int
    camera: Any
    field: Any
    open_edges: tuple[bool, bool, bool, bool]


def to_outline(view: View, index: int) -> Outline | None:
    """Measure distances to a view's outline; None without a mask or with an empty one."""
    if view.mask is None or not (view.mask > INSIDE).any():
        return None
    inside = view.mask > INSIDE
    edges = (inside[:, 0], inside[0], inside[:, -1], inside[-1])
    left, top, right, bottom = (bool(edge.any()) for edge in edges)
    fx, fy, cx, cy = view.fxfycxcy
    intrinsics = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    camera = (intrinsics @ to_w2c(view.c2w)[:3]).astype(np.float32)
    return Outline(index, camera, _distances(view.mask), (left, top, right, bottom))


def _distances(mask: Bytes) -> Any:
    """Signed distance to the outline in pixels, [H, W] float32; below a pixel from the alpha."""
    import cv2

    inside = (mask > INSIDE).astype(np.uint8)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances run between pixel centres, and the outline passes half-way between two.
    field = np.where(inside > 0, 0.5 - deep, out - 0.5)
    soft = (np.float32(INSIDE + 0.5) - mask) / np.float32(255.0)
    return np.where(np.maximum(out, deep) <= 1.0, soft, field).astype(np.float32)


def to_rays(pixels: Float, view: View, index: int) -> Rays:
    """Rays through a view's pixels (x, y), [P, 2]."""
    directions = ray_directions(pixels, view.c2w, view.fxfycxcy).T.astype(np.float32)
    origins = np.broadcast_to(view.c2w[:3, 3:].astype(np.float32), directions.shape)
    return Rays(origins, directions, np.full(len(pixels), index))


def join(parts: Sequence[Rays]) -> Rays:
    """All rays in one record, in their order."""
    if not parts:
        nothing = np.zeros((3, 0), np.float32)
        return Rays(nothing, nothing, np.zeros(0, int))
    origins = np.concatenate([part.origins for part in parts], axis=1)
    directions = np.concatenate([part.directions for part in parts], axis=1)
    return Rays(origins, directions, np.concatenate([part.own for part in parts]))


def walk(
    rays: Rays,
    outlines: Sequence[Outline],
    span: tuple[Any, Any],
    *,
    slack_px: float = 0.0,
    least_seen: int = 1,
) -> Any:
    """Follow rays to the first point that is held.

    Args:
        rays: Rays, each in front of its own view; that view is not asked.
        outlines: What the views say.
        span: Where to begin and to end along each ray, [P] each or one number for all.
        slack_px: How far outside of a mask a point may be, in pixels of that view.
        least_seen: A point counts as held when no other view denies it and so many see it.

    Returns:
        Length along each ray to the point, [P] float32; infinite where there is none.
    """
    count = len(rays.own)
    lengths, ends = (np.broadcast_to(one, count).astype(np.float32) for one in span)
    floor = np.float32(_LEAST_SHARE * float(ends.max(initial=0.0)))
    reached = np.full(count, np.inf, dtype=np.float32)
    active = np.arange(count)
    for _ in range(_MOST_STEPS):
        going = lengths < ends
        if not going.any():
            break
        active, lengths, ends, rays = active[going], lengths[going], ends[going], rays.pick(going)
        found, steps = _look(rays, lengths, outlines, slack_px, least_seen)
        reached[active[found]] = lengths[found]
        lengths = lengths + np.maximum(steps, floor)
        # A ray that has arrived goes no further.
        lengths[found] = np.inf
    return reached


def _look(
    rays: Rays, lengths: Any, outlines: Sequence[Outline], slack_px: float, least_seen: int
) -> Any:
    """Which points are held, and how far along the ray nothing can be held, [P] each."""
    steps = np.full(len(lengths), np.inf, dtype=np.float32)
    seen = np.zeros(len(lengths), dtype=np.int32)
    left = np.arange(len(lengths))
    points = rays.origins + lengths * rays.directions
    groups = -(-len(outlines) // _GROUP)
    for first in range(groups):
        leap = np.zeros(len(left), dtype=np.float32)
        turns, own = rays.directions[:, left], rays.own[left]
        # Views are in the rig's order, so every n-th one together look from all sides.
        for outline in outlines[first::groups]:
            look = _ask(points[:, left], turns, outline, slack_px)
            other = own != outline.index
            denies = look.denies & other
            leap = np.where(denies, np.maximum(leap, look.step), leap)
            unknown = ~look.known & other
            steps[left] = np.where(unknown, np.minimum(steps[left], look.step), steps[left])
            seen[left] += look.framed & other
        denied = leap > 0
        steps[left[denied]] = leap[denied]
        left = left[~denied]
        if len(left) == 0:
            break
    held = np.zeros(len(lengths), dtype=bool)
    held[left] = seen[left] >= least_seen
    return held, steps


class _Answer(NamedTuple):
    """What one view says about points, [P] each.

    Attributes:
        denies: The subject cannot be there.
        known: False where the point is out of the frame beyond an edge that cuts the mask.
        framed: The point is in the frame.
        step: How far along the ray this stays so, at the least.
    """

    denies: Any
    known: Any
    framed: Any
    step: Any


def _ask(points: Any, directions: Any, outline: Outline, slack_px: float) -> _Answer:
    height, width = outline.field.shape
    image = outline.camera[:, :3] @ points + outline.camera[:, 3:]
    turn = outline.camera[:, :3] @ directions
    ahead = image[2] > 0
    x, y = image[:2] / np.where(ahead, image[2], np.float32(1.0))
    beyond = (x < 0, y < 0, x > width, y > height)
    framed = ahead & ~(beyond[0] | beyond[1] | beyond[2] | beyond[3])
    unknown = np.zeros_like(ahead) if not any(outline.open_edges) else ~ahead
    for past, is_open in zip(beyond, outline.open_edges, strict=True):
        if is_open:
            unknown |= past
    aside = np.hypot(x - np.clip(x, 0, width), y - np.clip(y, 0, height))
    distance = _sample(outline.field, x, y)
    # The outline is within the frame: a point outside is at least this far away from it.
    distance = np.where(framed, distance, np.hypot(aside, np.maximum(distance, 0)))
    free = np.where(unknown, aside, distance - slack_px)
    denies = ~unknown & ((distance > slack_px) | ~ahead)
    return _Answer(denies, ~unknown, framed, _leap(np.maximum(free, _LEAST_STEP_PX), image, turn))


def _sample(field: Any, x: Any, y: Any) -> Any:
    """Bilinear values of a field at pixel coordinates, [P]; the nearest edge's outside of it."""
    import cv2

    rows = -(-len(x) // _FOLD)
    flat = np.zeros((2, rows * _FOLD), np.float32)
    # Far outside, OpenCV's fixed-point coordinates would overflow.
    flat[0, : len(x)] = np.clip(x, 0, field.shape[1]) - np.float32(0.5)
    flat[1, : len(y)] = np.clip(y, 0, field.shape[0]) - np.float32(0.5)
    maps = flat.reshape(2, rows, _FOLD)
    values = cv2.remap(field, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(-1)[: len(x)]


def _leap(distance: Any, image: Any, turn: Any) -> Any:
    """How far along its ray a point's image is still within ``distance`` of where it is, [P].

    The image after a length l is (image + l * turn), made inhomogeneous. It has moved by
    speed * l / (depth * (depth + l * turn_z)) with speed = |turn_xy * depth - image_xy * turn_z|.
    """
    depth = image[2]
    across = turn[:2] * depth - image[:2] * turn[2]
    room = np.hypot(across[0], across[1]) - distance * depth * turn[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.where(room > 0, distance * depth * depth / room, np.inf)
        # From behind a camera nothing is seen until the ray comes before it.
        emerge = np.where(turn[2] > 0, -1.0001 * depth / turn[2], np.inf)
    return np.where(depth > 0, length, emerge)
