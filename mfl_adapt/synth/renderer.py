"""An exact picture of textured ellipsoids, by analytic ray intersection in float64.

This is the geometry oracle of the project: it shares no code with the rasterizers in
``mfl_adapt.render``. Along a ray ``o + t d`` whose direction has z = 1 in camera axes, ``t`` is the
depth, and an ellipsoid is hit where a quadratic in ``t`` has a real root. Over the picture plane
its discriminant is itself a quadratic, so whole rectangles of rays cost a few outer sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import RangeError
from mfl_adapt.synth.constants import SAMPLES_PER_AXIS
from mfl_adapt.synth.ellipsoids import Ellipsoid
from mfl_adapt.synth.textures import paint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.types import Float

# Nothing closer than this to the camera is seen, in world units.
_NEAR = 1e-6


class Picture(NamedTuple):
    """One analytic view; pixel centres at +0.5, like everywhere.

    Attributes:
        rgb: Straight sRGB-encoded colour, the mean over the samples that hit, [H, W, 3] in [0, 1];
            1 (white) where nothing was hit.
        alpha: Share of the samples that hit, [H, W] in [0, 1].
        depth: Mean depth along the camera's z axis over the samples that hit, [H, W]; 0 where
            nothing was hit.
    """

    rgb: Float
    alpha: Float
    depth: Float


def render_view(
    ellipsoids: Sequence[Ellipsoid],
    c2w: Float,
    fxfycxcy: Float,
    *,
    height: int,
    width: int,
    samples: int = SAMPLES_PER_AXIS,
) -> Picture:
    """Render opaque ellipsoids: nearest hit per sample, box filter per pixel.

    A camera inside an ellipsoid does not see that ellipsoid.

    Args:
        ellipsoids: Parts of the scene, in world units.
        c2w: Camera to world, [4, 4], OpenCV axes.
        fxfycxcy: Focal lengths and principal point in pixels, [4].
        height: Picture height in pixels.
        width: Picture width in pixels.
        samples: Samples per pixel along each axis, on a regular grid.

    Returns:
        Colour, alpha and depth.

    Raises:
        RangeError: If a size or the number of samples is below 1, a camera is not finite, a focal
            length is not positive, or there are more than 32767 ellipsoids.
        ShapeError: If ``c2w`` is not [4, 4] or ``fxfycxcy`` not [4].
    """
    _check_arguments(ellipsoids, c2w, fxfycxcy, (height, width, samples))
    fx, fy, cx, cy = (float(value) for value in fxfycxcy)
    u = ((np.arange(width * samples) + 0.5) / samples - cx) / fx
    v = ((np.arange(height * samples) + 0.5) / samples - cy) / fy
    seen = _in_camera(ellipsoids, np.asarray(c2w, np.float64))
    depth, owner = _nearest_hits(seen, u, v)
    return _resolve(ellipsoids, seen, depth, owner, u, v, samples)


def _check_arguments(
    ellipsoids: Sequence[Ellipsoid], c2w: Float, fxfycxcy: Float, sizes: tuple[int, int, int]
) -> None:
    """Refuse what would give a wrong picture.

    Raises:
        RangeError: If a number is out of range.
    """
    check_shape("render_view: c2w", c2w, (4, 4))
    check_shape("render_view: fxfycxcy", fxfycxcy, (4,))
    check_finite("render_view: c2w", c2w)
    check_finite("render_view: fxfycxcy", fxfycxcy)
    # The index of the part that a ray hits first is kept in 16 bits.
    check_range("render_view: number of ellipsoids", len(ellipsoids), 0, 32767)
    if min(sizes) < 1:
        height, width, samples = sizes
        raise RangeError(
            f"render_view: expected height, width and samples of at least 1, got {height}, {width} "
            f"and {samples}."
        )
    if min(fxfycxcy[:2]) <= 0:
        raise RangeError(
            f"render_view: expected positive focal lengths, got fx {fxfycxcy[0]:g} and fy "
            f"{fxfycxcy[1]:g}. Flip the picture instead."
        )


class _InCamera(NamedTuple):
    """E ellipsoids as one camera sees them.

    Attributes:
        linear: Camera directions to the frame in which an ellipsoid is the unit sphere, [E, 3, 3].
        start: Camera centre in that frame, [E, 3].
        bounds: Least and greatest u, least and greatest v of the outlines, [4, E]; infinite where
            an ellipsoid reaches the plane of the camera, empty where it is behind or around it.
    """

    linear: Float
    start: Float
    bounds: Float


def _in_camera(ellipsoids: Sequence[Ellipsoid], c2w: Float) -> _InCamera:
    """Express ellipsoids in a camera's axes."""
    if not ellipsoids:
        return _InCamera(np.empty((0, 3, 3)), np.empty((0, 3)), np.empty((4, 0)))
    centers = np.stack([part.center for part in ellipsoids]) - c2w[:3, 3]
    radii = np.stack([part.radii for part in ellipsoids])
    turns = np.stack([part.rotation for part in ellipsoids]).transpose(0, 2, 1)
    linear = turns @ c2w[:3, :3] / radii[:, :, None]
    start = -(turns @ centers[:, :, None])[:, :, 0] / radii
    middles = centers @ c2w[:3, :3]
    axes = (turns @ c2w[:3, :3]).transpose(0, 2, 1) * radii[:, None, :]
    shapes = axes @ axes.transpose(0, 2, 1)
    # The outline's dual conic; its tangent lines u = const and v = const are the bounds.
    duals = shapes - middles[:, :, None] * middles[:, None, :]
    middle, across, last = duals[:, :2, 2], duals[:, (0, 1), (0, 1)], duals[:, 2:, 2]
    reach = np.sqrt(shapes[:, 2, 2])
    crossing = middles[:, 2] - reach <= _NEAR
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(middle**2 - across * last)
        low, high = (middle + spread) / last, (middle - spread) / last
    low[crossing], high[crossing] = -np.inf, np.inf
    unseen = (middles[:, 2] + reach <= _NEAR) | (np.einsum("ei,ei->e", start, start) <= 1.0)
    high[unseen] = -np.inf
    return _InCamera(linear, start, np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]]))


def _nearest_hits(seen: _InCamera, u: Float, v: Float) -> tuple[Float, NDArray[np.int16]]:
    """Depth [V, U], infinite where nothing is hit, and index of the ellipsoid hit first, or -1."""
    depth = np.full((len(v), len(u)), np.inf)
    owner = np.full((len(v), len(u)), -1, dtype=np.int16)
    left, right = np.searchsorted(u, seen.bounds[:2])
    top, bottom = np.searchsorted(v, seen.bounds[2:])
    # With P(d) = d^T form d, a ray d = (u, v, 1) enters at (-cross . d - sqrt(P)) / (d^T square d).
    squares = seen.linear.transpose(0, 2, 1) @ seen.linear
    crosses = (seen.start[:, None, :] @ seen.linear)[:, 0]
    inside = np.einsum("ei,ei->e", seen.start, seen.start) - 1.0
    forms = crosses[:, :, None] * crosses[:, None, :] - inside[:, None, None] * squares
    for index in np.flatnonzero((left < right) & (top < bottom)):
        rows, columns = slice(top[index], bottom[index]), slice(left[index], right[index])
        across, down = u[columns], v[rows]
        cross = crosses[index]
        # Rays that miss have a negative discriminant: their NaN never compares as closer.
        with np.errstate(invalid="ignore"):
            root = np.sqrt(_quadratic(forms[index], across, down))
            entry = np.add.outer(-(cross[1] * down + cross[2]), -cross[0] * across)
            entry -= root
            entry /= _quadratic(squares[index], across, down)
            closer = entry < depth[rows, columns]
        closer &= entry > _NEAR
        np.copyto(depth[rows, columns], entry, where=closer)
        np.copyto(owner[rows, columns], index, where=closer)
    return depth, owner


def _quadratic(form: Float, u: Float, v: Float) -> Float:
    """``d^T form d`` for all d = (u, v, 1), [V, U]."""
    down = (form[1, 1] * v + 2 * form[1, 2]) * v + form[2, 2]
    along = (form[0, 0] * u + 2 * form[0, 2]) * u
    value = np.multiply.outer(2 * form[0, 1] * v, u)
    value += along
    value += down[:, None]
    return value


def _resolve(
    ellipsoids: Sequence[Ellipsoid],
    seen: _InCamera,
    depth: Float,
    owner: NDArray[np.int16],
    u: Float,
    v: Float,
    samples: int,
) -> Picture:
    """Colour the hits and average them over the pixels."""
    height, width = len(v) // samples, len(u) // samples
    hits = np.flatnonzero(owner.ravel() >= 0)
    owners = owner.ravel()[hits]
    # Grouped by ellipsoid, each texture is evaluated in one go.
    order = np.argsort(owners, kind="stable")
    hits, owners = hits[order], owners[order]
    rows, columns = np.divmod(hits, len(u))
    z = depth.ravel()[hits]
    directions = np.stack([u[columns] * z, v[rows] * z, z])
    colors = np.empty((3, len(hits)))
    ends = np.cumsum(np.bincount(owners, minlength=len(ellipsoids)))
    for index, part in enumerate(ellipsoids):
        group = slice(ends[index - 1] if index else 0, ends[index])
        if group.start < group.stop:
            unit = seen.linear[index] @ directions[:, group] + seen.start[index][:, None]
            colors[:, group] = paint(part, unit)
    pixels = rows // samples * width + columns // samples
    total = height * width
    count = np.bincount(pixels, minlength=total)
    share = 1.0 / np.maximum(count, 1)
    sums = [np.bincount(pixels, weights=values, minlength=total) for values in (*colors, z)]
    means = [(values * share).reshape(height, width) for values in sums]
    empty = (count == 0).reshape(height, width)
    rgb = np.stack(means[:3], axis=-1)
    rgb[empty] = 1.0
    alpha = count.reshape(height, width) / float(samples * samples)
    return Picture(rgb, alpha, means[3])
