"""An independent and slow ray tracer: every ray against every ellipsoid, in world axes."""

import numpy as np

from mfl_adapt.cameras import ray_directions


def trace(ellipsoids, c2w, fxfycxcy, *, height, width, samples):
    """Alpha and mean depth [H, W], and the index of the part hit first by each sample ray."""
    side = (np.arange(samples) + 0.5) / samples
    x = (np.arange(width)[:, None] + side).ravel()
    y = (np.arange(height)[:, None] + side).ravel()
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    rays = ray_directions(pixels, c2w, fxfycxcy)
    origin, forward = c2w[:3, 3], c2w[:3, 2]
    best = np.full(len(rays), np.inf)
    owner = np.full(len(rays), -1)
    for index, part in enumerate(ellipsoids):
        # |S^-1 R^T (o + t d - c)|^2 = 1, by the textbook.
        o = (origin - part.center) @ part.rotation / part.radii
        d = rays @ part.rotation / part.radii
        a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1.0
        inside = b * b - a * c
        t = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        t = np.where(t > 0, t, np.inf)
        owner = np.where(t < best, index, owner)
        best = np.minimum(t, best)
    hit = np.isfinite(best)
    z = np.where(hit, best, 0.0) * (rays @ forward)
    blocks = (height, samples, width, samples)
    count = hit.reshape(blocks).sum(axis=(1, 3))
    depth = z.reshape(blocks).sum(axis=(1, 3)) / np.maximum(count, 1)
    return count / samples**2, depth, owner.reshape(height * samples, width * samples)
