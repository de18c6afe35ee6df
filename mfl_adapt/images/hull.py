"""The visual hull: all that one solid body can be, given the outlines that several cameras saw.

Nothing is cut into voxels. A pixel is asked directly: is there a point on its ray that the other
views hold within their outlines? (``hull_walk`` finds out.)

Each masked pixel shows some point of the subject, which every other view that has it in its frame
shows inside its outline. With true cameras and masks all masked pixels are therefore held,
whatever the subject's shape. A camera moved, a picture zoomed or a lens forgotten leaves the rim
of some masks unheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.cameras import pixel_grid
from mfl_adapt.images.hull_walk import INSIDE, Outline, Rays, join, to_outline, to_rays, walk

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float, View

_LEAST_RAYS = 750
# Rays walked together: enough to make calls cheap, few enough to stay in the cache.
_BLOCK = 65536
# How far from the middle of the hull the subject can go on, in radii of the part that is held.
_VICINITY = 1.5
# Side of the cells that a drawing is first asked for, in pixels of the drawing.
_CELL = 4


class HullFit(NamedTuple):
    """How well the masks of a sample fit one solid body; NaN where a view cannot be judged.

    Pixels that may show what only this view has in its frame are left out: nobody can say.

    Attributes:
        iou: Intersection over union of each mask with the hull of all views, seen in that view,
            [V]. The hull never leaves a mask, so this is the share of the mask that it fills,
            with no slack at all.
        coverage: Share of each mask that the hull of the other views covers, [V], when they give
            way by ``slack_px``, as much as the outline of a mask is uncertain.
    """

    iou: Float
    coverage: Float


def fit_hull(views: Sequence[View], *, rays: int = 24000, slack_px: float = 1.0) -> HullFit:
    """Measure how well masks and cameras fit one another.

    Args:
        views: Views with masks and cameras; a view without a mask or with an empty one neither
            judges nor is judged.
        rays: Pixels looked at in all views together, on even grids, but at least 750 in each; a
            share over n pixels is exact to about sqrt(share * (1 - share) / n).
        slack_px: How far outside of a mask a point may be and still count for ``coverage``.

    Returns:
        Shares in [0, 1] per view.
    """
    hull = VisualHull(views)
    judged = [index for index in range(len(views)) if hull.judges(index)]
    each = max(_LEAST_RAYS, rays // max(1, len(judged)))
    asked = hull.rays(judged, [_some_pixels(views[index], each) for index in judged])
    lengths = hull.reach(asked)
    strict = np.isfinite(lengths)
    loose = strict.copy()
    # What fits without slack fits with it, so only the rest is asked again.
    loose[~strict] = hull.holds(asked.pick(~strict), slack_px=slack_px)
    known = loose.copy()
    known[~loose] = ~hull.may_miss(
        asked.pick(~loose), near=asked.pick(strict), lengths=lengths[strict]
    )
    iou, coverage = np.full((2, len(views)), np.nan)
    for index in judged:
        own = asked.own == index
        # A view most of which nobody else can judge is not judged by the rest.
        if 2 * (known & own).sum() >= own.sum():
            iou[index] = strict[known & own].mean()
            coverage[index] = loose[known & own].mean()
    return HullFit(iou, coverage)


class VisualHull:
    """The outlines of several views, ready to be asked about rays.

    A point outside of another view's frame is denied by it, unless that view's mask touches the
    edge beyond which the point lies: then the subject goes on there, and nothing is known. A point
    counts as held when no view denies it and at least a third of the other views see it: where
    frames cut a subject, half would leave out what only a few views show, and without such a rule
    a point that no view has in its frame would explain everything.
    """

    def __init__(self, views: Sequence[View]) -> None:
        """Measure distances to the outlines.

        Args:
            views: Views with masks and cameras, in any sizes.
        """
        centers = np.array([view.c2w[:3, 3] for view in views]).reshape(-1, 3)
        # Walks are in single precision: the rig goes to the origin, wherever the world's is.
        self._views = tuple(_shifted(view, centers.mean(axis=0)) for view in views)
        made = [to_outline(view, index) for index, view in enumerate(self._views)]
        self._outlines: list[Outline] = [outline for outline in made if outline is not None]
        spread = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
        # A rig surrounds its subject, so nothing of it is further away than twice the rig's width.
        self._far = 2.0 * float(spread.max(initial=0.0))

    def judges(self, index: int) -> bool:
        """Whether a view has an outline, and some other view from elsewhere has one too."""
        has_own = any(outline.index == index for outline in self._outlines)
        return has_own and len(self._outlines) > 1 and self._far > 0

    def rays(self, indices: Sequence[int], pixels: Sequence[Float]) -> Rays:
        """Rays through pixels of some views, in a frame of the hull's own.

        Args:
            indices: The views.
            pixels: For each of them, pixel coordinates (x, y), [..., 2].

        Returns:
            All rays, view by view.
        """
        pairs = zip(indices, pixels, strict=True)
        return join([to_rays(p.reshape(-1, 2), self._views[index], index) for index, p in pairs])

    def reach(self, rays: Rays, *, slack_px: float = 0.0) -> Any:
        """How far along each ray the hull of the other views begins; a ray's own is not asked.

        Args:
            rays: Rays of this hull.
            slack_px: How far outside of a mask a point may be, in pixels of that view.

        Returns:
            Length in world units, [P]; infinite where a ray misses the hull.
        """
        least_seen = -(-(len(self._outlines) - 1) // 3)
        return self._follow(rays, (1e-4 * self._far, self._far), slack_px, least_seen)

    def holds(self, rays: Rays, *, slack_px: float = 0.0) -> Any:
        """Whether the hull of the other views reaches each ray, [P]; see ``reach``."""
        return np.isfinite(self.reach(rays, slack_px=slack_px))

    def may_miss(self, rays: Rays, *, near: Rays, lengths: Any) -> Any:
        """Whether rays may end on a part of the subject that hardly any other view has in frame.

        Args:
            rays: Rays that the hull does not hold.
            near: Rays that it holds.
            lengths: Where they reach it; what is further from there than half the hull's size
                does not count as the subject.

        Returns:
            One boolean per ray, [P].
        """
        is_open = any(any(outline.open_edges) for outline in self._outlines)
        if not is_open or len(lengths) == 0 or len(rays.own) == 0:
            return np.zeros(len(rays.own), dtype=bool)
        points = near.origins + lengths * near.directions
        center = points.mean(axis=1, keepdims=True)
        radius = _VICINITY * float(np.linalg.norm(points - center, axis=0).max())
        along = ((center - rays.origins) * rays.directions).sum(axis=0)
        aside = np.linalg.norm(rays.origins + along * rays.directions - center, axis=0)
        half = np.sqrt(np.maximum(radius**2 - aside**2, 0.0))
        span = np.maximum(along - half, 1e-4 * self._far), along + half
        return np.isfinite(self._follow(rays, span, 0.0, 0))

    def _follow(self, rays: Rays, span: Any, slack_px: float, least_seen: int) -> Any:
        reached = np.full(len(rays.own), np.inf, dtype=np.float32)
        if len(self._outlines) < 2 or self._far == 0.0:
            return reached
        starts, ends = (np.broadcast_to(one, reached.shape) for one in span)
        for first in range(0, len(reached), _BLOCK):
            block = slice(first, first + _BLOCK)
            reached[block] = walk(
                rays.pick(block),
                self._outlines,
                (starts[block], ends[block]),
                slack_px=slack_px,
                least_seen=least_seen,
            )
        return reached

    def silhouettes(self, indices: Sequence[int], *, side: int = 256) -> list[Bytes]:
        """Draw the hull of the other views as some views see it.

        Args:
            indices: The views to draw it in; the own mask of each is not used.
            side: About how many pixels the longer side of a drawing shall have; a drawing takes
                every n-th pixel of every n-th row of the view.

        Returns:
            255 inside, [H / n, W / n] uint8 each; all 0 where no other view has a mask.
        """
        grids = [_grid(self._views[index], side) for index in indices]
        cells = [grid[_CELL // 2 :: _CELL, _CELL // 2 :: _CELL] for grid in grids]
        known = self._ask(indices, cells)
        held, doubts = [], []
        for index, grid, answer in zip(indices, grids, known, strict=True):
            spread, doubt = _spread(answer, self._views[index], grid)
            held.append(spread)
            doubts.append(doubt)
        asked = [grid[doubt] for grid, doubt in zip(grids, doubts, strict=True)]
        for drawing, doubt, answer in zip(held, doubts, self._ask(indices, asked), strict=True):
            drawing[doubt] = answer
        return [np.where(drawing, 255, 0).astype(np.uint8) for drawing in held]

    def _ask(self, indices: Sequence[int], pixels: Sequence[Float]) -> list[Any]:
        """Answers for the pixels [..., 2] of several views, all in one walk, [...] each."""
        answers = self.holds(self.rays(indices, pixels))
        ends = np.cumsum([points[..., 0].size for points in pixels])
        pieces = np.split(answers, ends[:-1]) if len(pixels) else []
        return [
            piece.reshape(points.shape[:-1]) for piece, points in zip(pieces, pixels, strict=True)
        ]


def _shifted(view: View, origin: Float) -> View:
    c2w = np.array(view.c2w, dtype=np.float64)
    c2w[:3, 3] -= origin
    return replace(view, c2w=c2w)


def _some_pixels(view: View, count: int) -> Any:
    """Centres of masked pixels on an even grid, about ``count`` of them, [P, 2] as (x, y)."""
    inside = view.mask > INSIDE if view.mask is not None else np.zeros((1, 1), bool)
    step = max(1, int(np.sqrt(inside.sum() / count)))
    rows, columns = np.nonzero(inside[step // 2 :: step, step // 2 :: step])
    if len(rows) == 0:  # a mask finer than the grid
        rows, columns = np.nonzero(inside)
        return np.stack([columns, rows], axis=1) + 0.5
    return np.stack([columns, rows], axis=1) * float(step) + step // 2 + 0.5


def _grid(view: View, side: int) -> Float:
    """Every n-th pixel centre along both axes, about ``side`` of them, [h, w, 2]."""
    step = max(1, max(view.height, view.width) // side)
    return pixel_grid(view.height, view.width)[step // 2 :: step, step // 2 :: step]


def _spread(known: Any, view: View, grid: Float) -> tuple[Any, Any]:
    """Cells' answers for all their pixels, and the pixels that must be asked themselves.

    Those lie beside a change of the answer, or where the view's own mask begins: what is too thin
    for the cells, as a tail, is there.
    """
    import cv2

    shape = grid.shape[:2]
    if known.size == 0:  # a picture smaller than a cell
        return np.zeros(shape, bool), np.ones(shape, bool)
    flags, ones = known.astype(np.uint8), np.ones((3, 3), np.uint8)
    doubt = _enlarge(cv2.dilate(flags, ones) > cv2.erode(flags, ones), shape)
    if view.mask is not None:
        columns, rows = np.moveaxis(np.floor(grid).astype(int), -1, 0)
        inside = (view.mask[rows, columns] > INSIDE).astype(np.uint8)
        near = np.ones((2 * _CELL + 1, 2 * _CELL + 1), np.uint8)
        doubt |= cv2.dilate(inside, near) > cv2.erode(inside, near)
    return _enlarge(known, shape), doubt


def _enlarge(cells: Any, shape: tuple[int, ...]) -> Any:
    """Repeat cells over their pixels; the last ones also beyond the last whole cell, [H, W]."""
    rows = np.minimum(np.arange(shape[0]) // _CELL, cells.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // _CELL, cells.shape[1] - 1)
    return cells[rows[:, None], columns]
