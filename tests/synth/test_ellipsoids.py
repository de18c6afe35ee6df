import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.synth import Ellipsoid, Patch, Wave, render_view
from mfl_adapt.synth.ellipsoids import rotation_about, rotation_to


def test_rotation_about_is_right_handed():
    x, y, z = np.eye(3)
    np.testing.assert_allclose(rotation_about(2, 90.0) @ x, y, atol=1e-15)
    np.testing.assert_allclose(rotation_about(0, 90.0) @ y, z, atol=1e-15)
    np.testing.assert_allclose(rotation_about(1, 90.0) @ z, x, atol=1e-15)


@pytest.mark.parametrize("direction", [(0, 0, 2.0), (1.0, 0, 0), (-3.0, 0.001, 0), (1.0, 2.0, 3.0)])
def test_rotation_to_is_proper(direction):
    rotation = rotation_to(np.array(direction))
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation[:, 2], direction / np.linalg.norm(direction), atol=1e-12)


def textured():
    return Ellipsoid(
        "part",
        np.array([0.1, -0.2, 0.3]),
        np.array([0.5, 0.3, 0.4]),
        (0.5, 0.5, 0.5),
        rotation_about(0, 30.0),
        [Wave((3.0, 1.0, 0.0), 0.1, (0.2, 0.1, 0.0))],
        [Patch((0.0, -0.3, 0.0), (0.1, 0.1, 0.1), (1.0, 0.0, 0.0))],
    )


def view(parts, c2w, ring):
    return render_view(parts, c2w, ring.fxfycxcy[0], height=32, width=32)


def test_moving_part_and_camera_together_changes_no_outline():
    ring = facelift_ring(4, size=32)
    turn, pivot = rotation_about(2, 50.0), np.array([0.2, 0.1, -0.3])
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn, pivot - turn @ pivot
    still = view([textured()], ring.c2w[0], ring)
    moved = view([textured().moved(turn, pivot)], motion @ ring.c2w[0], ring)
    np.testing.assert_array_equal(moved.alpha, still.alpha)
    np.testing.assert_allclose(moved.depth, still.depth, atol=1e-12)


def test_scaling_part_and_camera_together_changes_no_picture():
    ring = facelift_ring(4, size=32)
    farther = ring.c2w[0].copy()
    farther[:3, 3] *= 1.7
    still, grown = (
        view([textured()], ring.c2w[0], ring),
        view([textured().scaled(1.7)], farther, ring),
    )
    np.testing.assert_array_equal(grown.alpha, still.alpha)
    np.testing.assert_allclose(grown.rgb, still.rgb, atol=1e-12)
    np.testing.assert_allclose(grown.depth, 1.7 * still.depth, atol=1e-12)


def test_changes_make_new_parts():
    part = textured()
    shifted = part.shifted(np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(part.center, [0.1, -0.2, 0.3])
    np.testing.assert_allclose(shifted.center, [1.1, -0.2, 0.3])
    np.testing.assert_allclose(
        part.turned(rotation_about(0, -30.0)).rotation, np.eye(3), atol=1e-15
    )
