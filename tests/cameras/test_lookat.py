import numpy as np
import pytest

from mfl_adapt.cameras import look_at, look_at_map, project
from mfl_adapt.errors import DataError


def test_front_camera_by_hand():
    # At -y, looking along +y: right is +x and down is -z.
    expected = [[1, 0, 0, 0], [0, 0, 1, -2], [0, -1, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(look_at([0.0, -2.0, 0.0]), expected, atol=1e-15)


def test_rotations_are_proper_and_up_is_up():
    centers = np.random.default_rng(0).uniform(-3, 3, (40, 3))
    target = np.array([0.1, -0.2, 0.3])
    c2w = look_at(centers, target)
    rotation = c2w[:, :3, :3]
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-12)
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (40, 1, 1)), atol=1e-12
    )
    towards = target - centers
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    np.testing.assert_allclose(rotation[:, :, 2], towards, atol=1e-12)
    # Down never has an upward part and right is level.
    assert (rotation[:, 2, 1] < 0).all()
    np.testing.assert_allclose(rotation[:, 2, 0], 0.0, atol=1e-12)


def test_up_need_not_be_a_unit_vector():
    np.testing.assert_allclose(
        look_at([1.0, 2.0, 3.0], up=[0, 0, 7.0]), look_at([1.0, 2.0, 3.0]), atol=1e-15
    )


def test_looking_along_up_is_refused():
    with pytest.raises(DataError, match=r"not parallel to up \[0\.0, 0\.0, 1\.0\]"):
        look_at([0.0, 0.0, 2.0])


def test_a_camera_on_its_target_is_refused():
    with pytest.raises(DataError, match="distance 0"):
        look_at([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_look_at_map_takes_pixels_of_one_camera_to_the_other():
    center = np.array([200.0, -150.0, 80.0])
    old, new = look_at(center, [20.0, 5.0, -3.0], up=[0.1, 0.0, 1.0]), look_at(center)
    k_old, k_new = [1620.0, 1600.0, 560.0, 530.0], [900.0, 900.0, 256.0, 256.0]
    pixel_map = look_at_map(old, k_old, new, k_new)
    points = np.random.default_rng(0).uniform(-40, 40, (50, 3))
    seen, _ = project(points, old, k_old)
    moved = np.c_[seen, np.ones(50)] @ pixel_map.T
    expected, _ = project(points, new, k_new)
    np.testing.assert_allclose(moved[:, :2] / moved[:, 2:], expected, rtol=0, atol=1e-9)


def test_look_at_map_refuses_a_camera_that_moved():
    old, new = look_at([2.0, 0.0, 0.5]), look_at([2.0, 0.01, 0.5])
    k = [100.0, 100.0, 32.0, 32.0]
    with pytest.raises(DataError, match=r"one centre, got centres 0\.01 apart"):
        look_at_map(old, k, new, k)
