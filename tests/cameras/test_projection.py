import numpy as np
import pytest

from mfl_adapt.cameras import (
    look_at,
    pixel_grid,
    project,
    random_rig,
    ray_directions,
    to_w2c,
    unproject,
)


def test_pixel_grid_has_centres_at_half():
    grid = pixel_grid(2, 3)
    assert grid.shape == (2, 3, 2)
    np.testing.assert_array_equal(grid[0, 0], [0.5, 0.5])
    np.testing.assert_array_equal(grid[1, 2], [2.5, 1.5])


def test_project_by_hand():
    # Camera at (0, -2, 0) looking along +y: world x is right, world z is up.
    c2w = look_at([0.0, -2.0, 0.0])
    intrinsics = np.array([100.0, 50.0, 32.0, 16.0])
    pixels, depth = project(np.array([[0.5, 0.0, 0.25]]), c2w, intrinsics)
    assert depth[0] == pytest.approx(2.0)
    # x: 32 + 100 * 0.5 / 2; y grows downwards: 16 - 50 * 0.25 / 2.
    np.testing.assert_allclose(pixels[0], [57.0, 9.75], atol=1e-12)


def test_a_point_behind_the_camera_has_no_pixel():
    pixels, depth = project(
        np.array([[0.0, -3.0, 0.0]]), look_at([0.0, -2.0, 0.0]), np.array([10.0, 10.0, 5.0, 5.0])
    )
    assert depth[0] == pytest.approx(-1.0)
    assert np.isnan(pixels).all()


def test_round_trip_for_many_cameras():
    rng = np.random.default_rng(0)
    cameras = random_rig(rng, 7, size=64, distance=(2.0, 4.0), focal_ratio=(0.8, 1.6))
    points = rng.uniform(-0.7, 0.7, (50, 3))
    pixels, depth = project(points, cameras.c2w, cameras.fxfycxcy)
    assert pixels.shape == (7, 50, 2)
    back = unproject(pixels, depth, cameras.c2w, cameras.fxfycxcy)
    np.testing.assert_allclose(back, np.broadcast_to(points, (7, 50, 3)), atol=1e-12)


def test_rays_pass_through_what_they_project():
    rng = np.random.default_rng(1)
    cameras = random_rig(rng, 3, size=64)
    points = rng.uniform(-0.7, 0.7, (20, 3))
    pixels, _ = project(points, cameras.c2w, cameras.fxfycxcy)
    directions = ray_directions(pixels, cameras.c2w, cameras.fxfycxcy)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-12)
    offsets = points - cameras.centers[:, None]
    np.testing.assert_allclose(np.cross(offsets, directions), 0.0, atol=1e-12)
    assert (np.sum(offsets * directions, axis=-1) > 0).all()


def test_to_w2c_inverts():
    c2w = look_at([[1.0, 2.0, 0.5], [-2.0, 0.3, 1.0]])
    np.testing.assert_allclose(to_w2c(c2w) @ c2w, np.broadcast_to(np.eye(4), (2, 4, 4)), atol=1e-12)
