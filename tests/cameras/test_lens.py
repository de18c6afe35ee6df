"""Lens models: OpenCV as the oracle, exact inverses, folds, and refused coefficients."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfl_adapt.cameras import lens, look_at
from mfl_adapt.errors import DataError
from mfl_adapt.types import RawCamera

EYE = tuple(tuple(row) for row in np.eye(4).tolist())
LENSES = {
    "brown4": ("brown", (-0.32, 0.11, 0.001, -0.0007)),
    "brown5": ("brown", (-0.28, 0.09, -0.0015, 0.0011, -0.02)),
    "brown8": ("brown", (0.8, -0.5, 0.001, 0.0004, 0.09, 1.1, -0.3, 0.02)),
    "fisheye": ("fisheye", (0.05, -0.02, 0.01, -0.003)),
}


def camera(kind="pinhole", distortion=(), *, c2w=EYE, skew=0.0) -> RawCamera:
    return RawCamera(c2w, (1600.0, 1590.0, 570.0, 505.0), 1024, 1152, kind, distortion, skew)


def opencv_bend(rays: np.ndarray, one: RawCamera) -> np.ndarray:
    """OpenCV's own models with the identity as intrinsics; it wants points, not rays."""
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)[:, None]
    coefficients, still = np.array(one.distortion), np.zeros(3)
    model = cv2.fisheye.projectPoints if one.lens == "fisheye" else cv2.projectPoints
    return model(points, still, still, np.eye(3), coefficients)[0][:, 0]


@pytest.mark.parametrize("name", LENSES)
def test_agrees_with_opencv_and_undoes_itself(name):
    one = camera(*LENSES[name])
    rays = np.random.default_rng(0).uniform(-0.45, 0.45, (500, 2))
    rays[0] = 0.0
    bent = lens.distort(rays, one)
    np.testing.assert_allclose(bent, opencv_bend(rays, one), rtol=0, atol=1e-14)
    np.testing.assert_allclose(lens.undistort(bent, one), rays, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    k1=st.floats(-0.6, 0.6),
    k2=st.floats(-0.3, 0.3),
    p1=st.floats(-0.01, 0.01),
    p2=st.floats(-0.01, 0.01),
    kind=st.sampled_from(["brown", "fisheye"]),
)
def test_whatever_is_seen_comes_back(k1, k2, p1, p2, kind):
    # Not one ray may come back as another, and near the axis none may be lost.
    one = camera(kind, (k1, k2, p1, p2))
    axis = np.linspace(-0.8, 0.8, 23)
    rays = np.stack(np.meshgrid(axis, axis), axis=-1)
    bent = lens.distort(rays, one)
    back = lens.undistort(bent, one)
    seen = np.isfinite(bent).all(axis=-1)
    assert seen[8:15, 8:15].all()
    found = np.isfinite(back).all(axis=-1)
    slack = np.abs(back - rays).max(axis=-1)
    # At the very fold the slope is 0, and there a root has half the digits.
    near = np.hypot(*np.moveaxis(rays, -1, 0)) < 0.3
    assert found[near].all()
    assert slack[near].max() < 1e-11
    assert slack[found].max() < 1e-5
    assert not (found & ~seen).any()


def test_fold_of_a_barrel_lens_by_hand():
    # r (1 - 0.3 r^2) grows until r = sqrt(1 / 0.9) = 1.0541, where it is 0.7027.
    one = camera("brown", (-0.3, 0.0, 0.0, 0.0))
    kept = lens.distort(np.array([[1.05, 0.0], [0.0, -1.05], [1.06, 0.0], [3.0, 0.0]]), one)
    assert np.isfinite(kept).all(axis=1).tolist() == [True, True, False, False]
    back = lens.undistort(np.array([[0.70, 0.0], [0.71, 0.0]]), one)
    assert np.isfinite(back).all(axis=1).tolist() == [True, False]


def test_pinhole_and_zero_coefficients_bend_nothing():
    rays = np.random.default_rng(0).normal(size=(7, 2))
    for one in (camera(), camera("brown", (0.0,) * 5)):
        assert np.array_equal(lens.distort(rays, one), rays)
        assert np.array_equal(lens.undistort(rays, one), rays)
        assert lens.is_straight(one)
    assert not lens.is_straight(camera(skew=0.5))
    assert not lens.is_straight(camera("fisheye", (0.0,) * 4))


def test_fisheye_without_coefficients_is_equidistant():
    # Equidistant: the bent radius is the angle itself; 45 degrees are pi / 4.
    bent = lens.distort(np.array([[1.0, 0.0]]), camera("fisheye", (0.0,) * 4))
    np.testing.assert_allclose(bent, [[np.pi / 4, 0.0]], atol=1e-15)


def test_projection_agrees_with_opencv_under_pose_and_half_pixel():
    pose = look_at([300.0, -120.0, 90.0], [5.0, 8.0, 2.0])
    one = camera(*LENSES["brown5"], c2w=tuple(tuple(row) for row in pose.tolist()))
    points = np.random.default_rng(2).uniform(-40.0, 40.0, (30, 3))
    pixels, depth = lens.project_raw(points, one)
    w2c = np.linalg.inv(pose)
    fx, fy, cx, cy = one.fxfycxcy
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    rotation = cv2.Rodrigues(w2c[:3, :3])[0]
    coefficients = np.array(one.distortion)
    expected = cv2.projectPoints(points, rotation, w2c[:3, 3], matrix, coefficients)[0][:, 0]
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(depth, points @ w2c[2, :3] + w2c[2, 3], rtol=1e-12)


def test_skew_by_hand_and_behind_the_camera():
    # x = 1600 * 0.1 + 8 * 0.2 + 570 = 731.6; y = 1590 * 0.2 + 505 = 823.
    one = camera(skew=8.0)
    pixels, depth = lens.project_raw(np.array([[0.2, 0.4, 2.0], [0.2, 0.4, -2.0]]), one)
    np.testing.assert_allclose(pixels[0], [731.6, 823.0], rtol=1e-14)
    assert np.isnan(pixels[1]).all()
    assert depth.tolist() == [2.0, -2.0]
    np.testing.assert_allclose(lens.from_pixels(pixels[:1], one), [[0.1, 0.2]], rtol=1e-13)


@pytest.mark.parametrize(
    ("kind", "count", "words"),
    [
        ("brown", 3, "expected 4, 5 or 8 coefficients .* brown lens, got 3"),
        ("brown", 14, "got 14"),
        ("fisheye", 5, "expected 4 coefficients k1 k2 k3 k4 for a fisheye lens, got 5"),
        ("pinhole", 4, "expected no coefficients for a pinhole lens, got 4"),
        ("omni", 0, "expected a lens of pinhole, brown, fisheye, got 'omni'"),
    ],
)
def test_other_models_are_refused(kind, count, words):
    with pytest.raises(DataError, match=words):
        lens.check_lens(camera(kind, (0.1,) * count))
    with pytest.raises(DataError, match=words):
        lens.distort(np.zeros((1, 2)), camera(kind, (0.1,) * count))
