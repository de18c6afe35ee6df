"""The rasterizer against the analytic renderer: two programs that share no code.

The surface of ellipsoids is covered with small opaque Gaussians of known place and colour. Where
the two pictures disagree by a fraction of a pixel, one of them has its pixel centres, its axes or
its intrinsics wrong.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

from mfl_adapt.cameras import lab_rig, random_rig
from mfl_adapt.render import render
from mfl_adapt.synth import Ellipsoid, Patch, Wave, render_view
from mfl_adapt.synth.ellipsoids import rotation_about
from mfl_adapt.synth.textures import paint
from mfl_adapt.types import Cameras, Gaussians

SIZE = 160
# First spherical-harmonic basis function, 1 / (2 sqrt(pi)).
SH_0 = 0.28209479177387814
# Spacing of the Gaussians on the surface and their standard deviation, in world units. One pixel
# is about 0.011 units here.
SPACING, SIGMA = 0.008, 0.004
# The rasterizer widens every splat to at least half a pixel, so a densely covered outline
# grows by two pixels all around; look at colours and depths this far inside.
MARGIN_PX = 3


def body():
    """A long textured part, turned about two axes."""
    return Ellipsoid(
        "body",
        np.array([0.13, 0.05, -0.08]),
        np.array([0.24, 0.36, 0.20]),
        (0.55, 0.45, 0.35),
        rotation_about(2, 35.0) @ rotation_about(0, 20.0),
        [Wave((1.5, 0.0, 1.0), 0.1, (0.2, 0.1, -0.1)), Wave((0.0, 1.5, 0.0), 0.0, (0.0, 0.2, 0.1))],
        [Patch((0.0, -0.35, 0.1), (0.12, 0.12, 0.12), (0.9, 0.2, 0.1))],
    )


def head():
    """A plain part that hides some of the body from some cameras."""
    center, radii = np.array([-0.10, -0.24, 0.14]), np.array([0.14, 0.12, 0.16])
    return Ellipsoid("head", center, radii, (0.2, 0.5, 0.8))


def cover(parts):
    """Gaussians on the surfaces: a Fibonacci lattice per part."""
    means, colors = [], []
    for part in parts:
        # The lattice is densest along the long axis, so count by the largest sphere around.
        count = int(4 * np.pi * part.radii.max() ** 2 / SPACING**2)
        k = np.arange(count) + 0.5
        z, angle = 1 - 2 * k / count, np.pi * (1 + np.sqrt(5)) * k
        flat = np.sqrt(1 - z * z)
        unit = np.stack([flat * np.cos(angle), flat * np.sin(angle), z])
        means.append((part.rotation @ (unit * part.radii[:, None])).T + part.center)
        colors.append(paint(part, unit).T)
    means, colors = np.concatenate(means), np.concatenate(colors)
    n = len(means)
    return Gaussians(
        means=torch.tensor(means, dtype=torch.float32)[None],
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(1, n, 4).contiguous(),
        scales=torch.full((1, n, 3), SIGMA),
        opacities=torch.full((1, n), 0.95),
        sh=torch.tensor((colors - 0.5) / SH_0, dtype=torch.float32)[None, :, None],
    )


def off_centre_cameras():
    """Lab and random cameras whose principal points are off the middle by uneven amounts."""
    rng = np.random.default_rng(0)
    lab, wild = lab_rig(SIZE), random_rig(rng, 4, size=SIZE, focal_ratio=(1.0, 1.4))
    c2w = np.concatenate([lab.c2w, wild.c2w])
    fxfycxcy = np.concatenate([lab.fxfycxcy, wild.fxfycxcy])
    fxfycxcy[:, 1] *= 1.1
    fxfycxcy[:, 2:] += rng.uniform(-12.0, 12.0, (len(c2w), 2))
    return Cameras(c2w, fxfycxcy, height=SIZE, width=SIZE)


def centroid(alpha):
    """Mean pixel coordinates (x, y) of a mask, weighted by its opacity."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    return np.array([(x * alpha).sum(), (y * alpha).sum()]) / alpha.sum()


def draw(parts):
    """Per camera: analytic picture, and rgb [H, W, 3], alpha and depth [H, W] of the rasterizer."""
    cameras = off_centre_cameras()
    batched = Cameras(cameras.c2w[None], cameras.fxfycxcy[None], height=SIZE, width=SIZE)
    with torch.no_grad():
        drawn = render(cover(parts), batched, background=1.0, backend="cpu")
    assert drawn.depth is not None
    rgb = drawn.rgb[0].permute(0, 2, 3, 1).double().numpy()
    alpha, depth = (field[0, :, 0].double().numpy() for field in (drawn.alpha, drawn.depth))
    pictures = [
        render_view(parts, c2w, fxfycxcy, height=SIZE, width=SIZE, samples=5)
        for c2w, fxfycxcy in zip(cameras.c2w, cameras.fxfycxcy, strict=True)
    ]
    return list(zip(pictures, rgb, alpha, depth, strict=True))


def smooth_inside(picture):
    """Pixels [H, W] away from every edge of the depth, outlines included."""
    depth = np.where(picture.alpha == 1, picture.depth, 99.0)
    span = maximum_filter(depth, 2 * MARGIN_PX + 1) - minimum_filter(depth, 2 * MARGIN_PX + 1)
    return (picture.alpha == 1) & (span < 0.2)


@pytest.fixture(scope="module")
def alone():
    return draw([body()])


@pytest.fixture(scope="module")
def both():
    return draw([body(), head()])


def test_centroids_agree_to_a_tenth_of_a_pixel(alone):
    # One ellipsoid has an ellipse for an outline, which grows without moving its centroid.
    for exact, _, alpha, _ in alone:
        border = np.concatenate([alpha[[0, -1]].ravel(), alpha[:, [0, -1]].ravel()])
        assert border.max() < 1e-3
        np.testing.assert_allclose(centroid(alpha), centroid(exact.alpha), atol=0.1)


def test_half_a_pixel_would_be_noticed(alone):
    # What a principal point without its half pixel does to a picture.
    for exact, _, alpha, _ in alone:
        for axis in (0, 1):
            shifted = (alpha + np.roll(alpha, 1, axis=axis)) / 2
            assert np.abs(centroid(shifted) - centroid(exact.alpha)).max() > 0.3


def test_outlines_agree_but_for_a_rim(both):
    for exact, _, alpha, _ in both:
        first, second = exact.alpha > 0.5, alpha > 0.5
        outside = distance_transform_edt(~first)
        assert not (first & ~second).any()
        assert outside[second].max() < 2.5
        grown = outside <= 2.0
        assert (grown & second).sum() / (grown | second).sum() > 0.95


def test_colours_agree_inside(both):
    for exact, rgb, _, _ in both:
        inside = smooth_inside(exact)
        assert inside.sum() > 0.3 * exact.alpha.sum()
        error = ((rgb - exact.rgb)[inside] ** 2).mean()
        assert -10 * np.log10(error) > 34


def test_depths_agree_inside(both):
    for exact, _, alpha, depth in both:
        inside = smooth_inside(exact)
        gap = np.abs(depth[inside] / alpha[inside] - exact.depth[inside])
        assert np.median(gap) < 0.02
