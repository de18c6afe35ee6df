"""Triangulation: exact rays, noisy rays, one outlier, and rays that do not cross."""

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring, lab_rig, project
from mfl_adapt.cameras.triangulation import nearest_point, triangulate
from mfl_adapt.errors import DataError, ShapeError


def pixels_of(point, rig):
    return project(np.asarray(point)[None, None], rig.c2w, rig.fxfycxcy)[0][:, 0]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 500.0])
def test_exact_rays_meet_in_the_point_in_any_unit(scale):
    rig = lab_rig(512)
    c2w = rig.c2w.copy()
    c2w[:, :3, 3] *= scale
    truth = np.array([0.11, -0.2, 0.3])
    found = triangulate(pixels_of(truth, rig), c2w, rig.fxfycxcy)
    np.testing.assert_allclose(found.point, truth * scale, rtol=1e-9)
    assert found.residuals_px.max() < 1e-9


def test_one_outlier_hardly_moves_the_point():
    rig = facelift_ring(8)
    pixels = pixels_of([0.1, 0.0, 0.05], rig)
    pixels[3] += [60.0, 0.0]
    found = triangulate(pixels, rig.c2w, rig.fxfycxcy)
    assert np.linalg.norm(found.point - [0.1, 0.0, 0.05]) < 1e-3
    assert found.residuals_px[3] == pytest.approx(60.0, abs=0.5)
    assert np.median(found.residuals_px) < 0.1


def test_nearest_point_of_two_skew_lines_by_hand():
    # The x axis and the line x = 0, z = 2 along y: the middle of their common perpendicular.
    origins = np.array([[5.0, 0.0, 0.0], [0.0, -3.0, 2.0]])
    directions = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = nearest_point(origins, directions, np.ones(2))
    np.testing.assert_allclose(found, [0.0, 0.0, 1.0], atol=1e-12)
    # Three times the weight on the first line: a quarter of the way.
    found = nearest_point(origins, directions, np.array([3.0, 1.0]))
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5], atol=1e-12)


def test_errors_count_in_pixels_not_in_world_units():
    """Near cameras see a point, far ones another 0.05 away: 27 px near by, 2.7 px far off."""
    near, far = facelift_ring(4, distance=1.0), facelift_ring(4, distance=10.0, phase_deg=45.0)
    pixels = np.concatenate([pixels_of([0.0, 0, 0], near), pixels_of([0.05, 0, 0], far)])
    c2w = np.concatenate([near.c2w, far.c2w])
    fxfycxcy = np.concatenate([near.fxfycxcy, far.fxfycxcy])
    assert np.linalg.norm(triangulate(pixels, c2w, fxfycxcy).point) < 0.005


def test_a_longer_lens_counts_more():
    """Two rings at one distance; the one with four times the focal length decides."""
    near, far = facelift_ring(4, focal_ratio=4.0), facelift_ring(4, phase_deg=45.0, focal_ratio=1.0)
    pixels = np.concatenate([pixels_of([0.0, 0, 0], near), pixels_of([0.05, 0, 0], far)])
    c2w = np.concatenate([near.c2w, far.c2w])
    fxfycxcy = np.concatenate([near.fxfycxcy, far.fxfycxcy])
    # Plain least squares in pixels weighs them 16 to 1; robust weights only sharpen that.
    assert 0 < triangulate(pixels, c2w, fxfycxcy).point[0] < 0.05 / 17


def test_points_behind_the_cameras_have_no_residual():
    rig = facelift_ring(4)
    away = rig.c2w.copy()
    away[:, :3, 1:3] *= -1
    found = triangulate(pixels_of([0.0, 0.0, 0.0], rig), away, rig.fxfycxcy)
    assert np.isinf(found.residuals_px).all()


def test_refusals():
    rig = facelift_ring(4)
    pixels = pixels_of([0.0, 0.0, 0.0], rig)
    with pytest.raises(DataError, match="at least two views, got 1"):
        triangulate(pixels[:1], rig.c2w[:1], rig.fxfycxcy[:1])
    same = [0, 0, 0]
    with pytest.raises(DataError, match="parallel"):
        triangulate(pixels[same], rig.c2w[same], rig.fxfycxcy[same])
    with pytest.raises(ShapeError, match="triangulate: c2w"):
        triangulate(pixels, rig.c2w[:3], rig.fxfycxcy)
