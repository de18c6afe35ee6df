"""The visual hull: balls with known hulls, a walk without leaps as oracle, and mice."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring, pixel_grid, project, ray_directions
from mfl_adapt.images.hull import VisualHull, fit_hull
from mfl_adapt.synth.samples import render_sample
from mfl_adapt.types import View

SIZE = 96


def ball_mask(c2w, fxfycxcy, center=(0.0, 0.0, 0.0), radius=0.4, size=SIZE, factor=4):
    """Silhouette of a ball, by the distance of rays from its centre, averaged over sub-pixels."""
    grid = pixel_grid(size * factor, size * factor).reshape(-1, 2) / factor
    rays = ray_directions(grid, c2w, fxfycxcy)
    offset = np.asarray(center) - c2w[:3, 3]
    miss = np.linalg.norm(np.cross(rays, offset), axis=1)
    hit = (miss < radius).reshape(size, factor, size, factor).mean(axis=(1, 3))
    return np.rint(255 * hit).astype(np.uint8)


def ball_views(num=12, *, elevation=20.0, **ball):
    cameras = facelift_ring(num, elevation, size=SIZE)
    rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
    return [
        View(f"{i}", rgb, ball_mask(cameras.c2w[i], cameras.fxfycxcy[i], **ball), c2w, k)
        for i, (c2w, k) in enumerate(zip(cameras.c2w, cameras.fxfycxcy, strict=True))
    ]


def test_a_ball_fits_its_own_silhouettes():
    fit = fit_hull(ball_views())
    assert fit.iou.min() > 0.98
    assert np.array_equal(fit.coverage, np.ones(12))


def test_the_hull_does_not_care_where_the_world_has_its_origin():
    views = ball_views(6)
    moved = []
    for view in views:
        c2w = view.c2w.copy()
        c2w[:3, 3] += [1e5, -2e5, 3e4]
        moved.append(replace(view, c2w=c2w))
    assert fit_hull(moved).coverage == pytest.approx(fit_hull(views).coverage, abs=1e-3)


def test_a_picture_zoomed_twice_is_a_quarter_full():
    """The others hold a ball of radius 0.4; the view claims one of radius 0.8."""
    views = ball_views(12)
    big = ball_mask(views[0].c2w, views[0].fxfycxcy, radius=0.8)
    views[0] = replace(views[0], mask=big)
    fit = fit_hull(views)
    # A ball of radius r shows a disc of radius f * r / sqrt(d^2 - r^2).
    areas = [r**2 / (2.7**2 - r**2) for r in (0.4, 0.8)]
    assert fit.iou[0] == pytest.approx(areas[0] / areas[1], rel=0.12)
    assert fit.iou[0] >= areas[0] / areas[1] - 0.01  # a hull is never smaller than the body
    assert fit.iou[1:].min() > 0.98  # the large one holds all that the others claim


def test_two_views_by_hand():
    """One square seen from +y, 16 px wide: from +x, all columns near the middle row are held.

    A ray from +x through the middle column is at depth 2.7 for the other camera, so it is in the
    square where it comes to x = 0, up to 8 px off the middle row; at the square's far edge,
    x = 8 / 103 * 2.7, the same height has come down by 8 %.
    """
    cameras = facelift_ring(4, 0.0, size=SIZE)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:56, 40:56] = 255
    rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
    views = [View(f"{i}", rgb, mask, cameras.c2w[i], cameras.fxfycxcy[i]) for i in (0, 1)]
    hull = VisualHull(views)

    def held(*pixels):
        return hull.holds(hull.rays([0], [np.array(pixels)])).tolist()

    assert held((5.0, 48.0), (48.0, 48.0), (91.0, 48.0)) == [True] * 3
    assert held((48.0, 41.0), (48.0, 55.0)) == [True] * 2
    assert held((48.0, 38.0), (48.0, 58.0), (48.0, 10.0)) == [False] * 3


def brute_force(views, index, pixels, *, steps=6000):
    """Closely spaced points on each ray, looked up in the nearest pixel of all other masks."""
    view = views[index]
    rays = ray_directions(pixels, view.c2w, view.fxfycxcy)
    held = []
    for ray in rays:
        points = view.c2w[:3, 3] + ray * np.linspace(0.01, 8.0, steps)[:, None]
        inside = np.ones(steps, bool)
        for number, other in enumerate(views):
            if number == index:
                continue
            seen, _ = project(points, other.c2w, other.fxfycxcy)
            with np.errstate(invalid="ignore"):
                framed = ((seen >= 0) & (seen < SIZE)).all(axis=1)
            columns, rows = np.where(framed[:, None], seen, 0).astype(int).T
            inside &= framed & (other.mask[rows, columns] > 127)
        held.append(inside.any())
    return np.array(held)


def test_leaps_miss_nothing():
    """Away from outlines, where the nearest pixel is no finer than half of one, all agree."""
    sample = render_sample("mice", 3, size=SIZE, num_views=5)
    views, hull = sample.views, VisualHull(sample.views)
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(views[0].mask > 20)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
    pixels = rng.uniform(low - 8, high + 8, (250, 2))
    rays = hull.rays([0], [pixels])
    expected = brute_force(views, 0, pixels)
    assert 40 < expected.sum() < 210
    # Whoever is held with less slack than a pixel's diagonal agrees with one of the two.
    shrunk, grown = hull.holds(rays, slack_px=-0.75), hull.holds(rays, slack_px=0.75)
    assert not (shrunk & ~expected).any()
    assert not (expected & ~grown).any()
    assert (shrunk != grown).mean() < 0.25


@pytest.mark.parametrize(("rig", "size"), [("ring", 128), ("lab", 128), ("slots", 512)])
def test_exact_mice_fit(rig, size):
    """The promise for procedural data, at two sizes."""
    fit = fit_hull(render_sample("mice", 1, rig=rig, size=size, num_views=6).views)
    assert fit.iou.min() >= 0.97
    assert fit.coverage.min() >= 0.99
    assert (fit.coverage >= fit.iou).all()


def test_one_degree_is_seen():
    views = list(render_sample("mice", 0, rig="lab", size=256).views)
    angle = np.radians(1.0)
    turn = np.array([
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ])
    c2w = views[2].c2w.copy()
    c2w[:3, :3] = c2w[:3, :3] @ turn
    assert fit_hull(views).coverage.min() > 0.995
    views[2] = replace(views[2], c2w=c2w)
    assert fit_hull(views).coverage.min() < 0.98


def test_beyond_an_edge_that_cuts_nothing_is_known():
    """Balls cut by the lower edge fit; the same masks ended one row earlier deny what is below."""
    views = ball_views(6, center=(0.0, 0.0, -1.3), radius=0.5)
    assert all((view.mask[-1] > 127).any() for view in views)
    assert fit_hull(views).coverage.min() > 0.99
    closed = []
    for view in views:
        mask = view.mask.copy()
        mask[-1] = 0
        closed.append(replace(view, mask=mask))
    assert fit_hull(closed).coverage.min() < fit_hull(views).coverage.min() - 0.01


def test_what_only_one_view_has_in_its_frame_is_left_out():
    """A rod leaves all frames but the first, which is drawn with a shorter lens."""
    cameras = facelift_ring(5, 20.0, size=SIZE)
    views = []
    for index in range(5):
        fxfycxcy = cameras.fxfycxcy[index] * ([0.4, 0.4, 1, 1] if index == 0 else 1.0)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        for height in np.linspace(-0.3, 1.7, 50):  # balls in a row, upwards
            ball = ball_mask(cameras.c2w[index], fxfycxcy, (0, 0, height), 0.2, factor=1)
            mask = np.maximum(mask, ball)
        rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
        views.append(View(f"{index}", rgb, mask, cameras.c2w[index], fxfycxcy))
    assert (views[0].mask[0] < 128).all()
    assert all((view.mask[0] > 127).any() for view in views[1:])
    assert fit_hull(views).coverage.min() > 0.99
    # A contradiction within the frames is still one.
    views[1] = replace(views[1], mask=np.roll(views[1].mask, 12, axis=1))
    assert fit_hull(views).coverage.min() < 0.9


def test_views_that_cannot_be_judged():
    views = ball_views(4)
    bare = [replace(views[0], mask=None), *views[1:]]
    fit = fit_hull(bare)
    assert np.isnan(fit.iou[0])
    assert np.isnan(fit.coverage[0])
    assert fit.coverage[1:].min() > 0.99
    empty = [replace(views[0], mask=np.zeros((SIZE, SIZE), np.uint8)), *views[1:]]
    assert np.isnan(fit_hull(empty).coverage[0])
    assert np.isnan(fit_hull(views[:1]).coverage).all()
    assert np.isnan(fit_hull([views[0], views[0]]).coverage).all()  # one place tells no depth
    assert fit_hull([]).coverage.shape == (0,)


def test_cameras_that_look_away_hold_nothing():
    views = []
    for view in ball_views(4):
        c2w = view.c2w.copy()
        c2w[:3, 1:3] *= -1
        views.append(replace(view, c2w=c2w))
    assert fit_hull(views).coverage.tolist() == [0.0] * 4


def test_drawings_ask_every_pixel_that_matters():
    """Cells save time and change nothing, thin tails included."""
    views = render_sample("mice", 0, size=SIZE, num_views=6).views
    hull = VisualHull(views)
    grid = pixel_grid(SIZE, SIZE)
    for index, drawn in zip((0, 3), hull.silhouettes([0, 3]), strict=True):
        every = hull.holds(hull.rays([index], [grid])).reshape(SIZE, SIZE)
        assert np.array_equal(drawn > 0, every)
        inside = views[index].mask > 127
        assert (drawn[inside] > 0).mean() > 0.97
        assert (drawn > 0).sum() > inside.sum()


def test_drawings_have_the_size_asked_for():
    views = ball_views(4)
    assert VisualHull(views).silhouettes([1], side=48)[0].shape == (48, 48)
    assert VisualHull(views).silhouettes([1], side=1)[0].shape == (1, 1)
    assert VisualHull(views).silhouettes([]) == []
    nothing = [replace(view, mask=None) for view in views]
    assert not VisualHull(nothing).silhouettes([0])[0].any()
