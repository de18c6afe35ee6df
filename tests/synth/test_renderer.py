import numpy as np
import pytest
from brute_force import trace

from mfl_adapt.cameras import facelift_ring, lab_rig, look_at, project, random_rig, unproject
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.synth import Ellipsoid, make_scene, render_view
from mfl_adapt.synth.ellipsoids import rotation_about

INTRINSICS = np.array([40.0, 40.0, 16.0, 16.0])
FRONT = look_at([0.0, -2.0, 0.0])


def ball(center=(0.0, 0.0, 0.0), radius=0.5, color=(0.2, 0.4, 0.6)):
    return Ellipsoid("ball", np.array(center), np.full(3, radius), color)


def draw(parts, c2w=FRONT, intrinsics=INTRINSICS, *, size=32, samples=3):
    return render_view(parts, c2w, intrinsics, height=size, width=size, samples=samples)


def test_ball_by_hand():
    # A ball of radius r at distance d has the outline of a disc of radius f r / sqrt(d^2 - r^2).
    picture = draw([ball()], samples=9)
    radius_px = 40 * 0.5 / np.sqrt(2.0**2 - 0.5**2)
    assert picture.alpha.sum() == pytest.approx(np.pi * radius_px**2, rel=2e-3)
    # The four middle pixels see the nearest point, 1.5 away, and a little beyond.
    np.testing.assert_allclose(picture.depth[15:17, 15:17], 1.5, atol=2e-3)
    assert (picture.depth[15:17, 15:17] > 1.5).all()


@pytest.mark.parametrize("species", ["heads", "mice"])
def test_alpha_and_depth_equal_brute_force(species):
    scene = make_scene(species, 7)
    cameras = random_rig(np.random.default_rng(0), 3, size=30, focal_ratio=(0.9, 1.8))
    for c2w, fxfycxcy in zip(cameras.c2w, cameras.fxfycxcy, strict=True):
        # A principal point off the middle and fx unlike fy, which no rig here has.
        fxfycxcy = fxfycxcy * [1.0, 1.2, 0.9, 1.1]
        picture = render_view(scene.ellipsoids, c2w, fxfycxcy, height=30, width=24)
        alpha, depth, _ = trace(scene.ellipsoids, c2w, fxfycxcy, height=30, width=24, samples=3)
        np.testing.assert_array_equal(picture.alpha, alpha)
        np.testing.assert_allclose(picture.depth, depth, atol=1e-9)
        assert 0.02 < alpha.mean() < 0.9


def test_the_nearest_part_wins_in_any_order():
    near, far = ball((0, -0.5, 0), 0.2, (1.0, 0.0, 0.0)), ball((0, 0.5, 0), 0.6, (0.0, 1.0, 0.0))
    first, second = draw([near, far]), draw([far, near])
    # The samples of a pixel are added in another order, so the last bit may differ.
    np.testing.assert_allclose(first.rgb, second.rgb, atol=1e-14)
    np.testing.assert_allclose(first.depth, second.depth, atol=1e-14)
    assert first.rgb[16, 16, 1] == 0
    assert first.rgb[16, 16, 0] > 0.5


def test_colour_is_straight_and_white_outside():
    picture = draw([ball(color=(0.9, 0.1, 0.1))])
    edge = (picture.alpha > 0) & (picture.alpha < 0.5)
    assert edge.any()
    # A premultiplied or composited edge would drift towards black or white.
    assert (picture.rgb[edge][:, 1] < 0.11).all()
    assert (picture.rgb[edge][:, 0] > 0.9 * 0.5).all()
    np.testing.assert_array_equal(picture.rgb[picture.alpha == 0], 1.0)
    np.testing.assert_array_equal(picture.depth[picture.alpha == 0], 0.0)


def test_a_point_has_one_colour_from_every_side():
    scene = make_scene("heads", 3)
    ring = facelift_ring(32, size=192)
    first, second = (
        render_view(scene.ellipsoids, ring.c2w[k], ring.fxfycxcy[k], height=192, width=192)
        for k in (24, 25)
    )
    rows, columns = np.nonzero(first.alpha == 1)
    pixels = np.stack([columns, rows], axis=1) + 0.5
    points = unproject(pixels, first.depth[rows, columns], ring.c2w[24], ring.fxfycxcy[24])
    there, depth = project(points, ring.c2w[25], ring.fxfycxcy[25])
    # Look only where the second camera sees the same surface, away from outlines.
    x, y = np.floor(there).astype(int).clip(0, 191).T
    same = np.abs(second.depth[y, x] - depth) < 0.004
    assert same.mean() > 0.5
    gap = np.abs(first.rgb[rows, columns] - second.rgb[y, x]).max(axis=1)[same]
    assert np.median(gap) < 0.01
    assert np.quantile(gap, 0.9) < 0.05


def test_parts_behind_or_around_the_camera_are_not_seen():
    behind, around = ball((0, -4.0, 0)), ball((0, -2.0, 0), 0.3)
    assert draw([behind]).alpha.sum() == 0
    assert draw([around]).alpha.sum() == 0
    np.testing.assert_array_equal(draw([behind, ball(), around]).alpha, draw([ball()]).alpha)


def test_a_part_beside_the_camera_equals_brute_force():
    # It crosses the plane of the camera, so that its outline is not an ellipse.
    part = Ellipsoid(
        "wall",
        np.array([0.5, -1.4, 0.1]),
        np.array([0.3, 1.0, 0.3]),
        (0.5, 0.5, 0.5),
        rotation_about(2, 5.0),
    )
    picture = draw([part])
    alpha, depth, _ = trace([part], FRONT, INTRINSICS, height=32, width=32, samples=3)
    assert 0 < alpha.mean() < 1
    np.testing.assert_array_equal(picture.alpha, alpha)
    np.testing.assert_allclose(picture.depth, depth, atol=1e-9)


def test_no_parts_make_an_empty_picture():
    picture = draw([])
    assert picture.alpha.sum() == 0
    assert (picture.rgb == 1).all()


def test_lab_cameras_see_a_mouse_whole():
    cameras = lab_rig(48)
    scene = make_scene("mice", 11)
    shares = [
        render_view(scene.ellipsoids, c2w, k, height=48, width=48).alpha.mean()
        for c2w, k in zip(cameras.c2w, cameras.fxfycxcy, strict=True)
    ]
    # Cameras 0 and 1 are the nearest and the farthest: 3.0 and 5.1 units.
    assert np.argmax(shares) == 0
    assert np.argmin(shares) == 1


def test_bad_arguments_are_refused():
    with pytest.raises(RangeError, match="samples of at least 1, got 8, 8 and 0"):
        draw([ball()], size=8, samples=0)
    with pytest.raises(ShapeError, match=r"c2w: expected \[4, 4\], got \[3, 4\]"):
        draw([ball()], FRONT[:3])
    with pytest.raises(ShapeError, match=r"fxfycxcy: expected \[4\], got \[1, 4\]"):
        draw([ball()], FRONT, INTRINSICS[None])
    with pytest.raises(RangeError, match="positive focal lengths, got fx -40 and fy 40"):
        draw([ball()], FRONT, INTRINSICS * [-1, 1, 1, 1])
    with pytest.raises(RangeError, match="c2w: expected finite numbers"):
        draw([ball()], FRONT * np.nan)
