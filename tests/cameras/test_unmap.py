"""Predictions back in the raw frame: points, boxes and Gaussians."""

import numpy as np
import pytest
import torch
from histories import SUBJECT, finished_sample, raw_cameras
from scipy.spatial.transform import Rotation

from mfl_adapt.cameras import history, lens, project, unmap
from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.types import Gaussians, Provenance, Similarity


@pytest.fixture(scope="module")
def sample():
    return finished_sample()


def test_points_and_pixels(sample):
    np.testing.assert_allclose(unmap.unmap_points(np.zeros(3), sample.provenance), SUBJECT)
    raw = unmap.unmap_pixels(np.array([[32.0, 32.0]]), 1, sample.provenance)
    expected, _ = lens.project_raw(SUBJECT[None], raw_cameras()[0])
    np.testing.assert_allclose(raw, expected, rtol=0, atol=1e-8)


def test_box_by_hand():
    # Half as large, then 10 along z: going back doubles, after 10 are taken off.
    step = Provenance("s", world=Similarity(scale=0.5, translation=(0.0, 0.0, 10.0)))
    corners = unmap.unmap_box(np.array([[0.0, 0.0, 10.0], [1.0, 2.0, 13.0]]), (step,))
    assert corners.shape == (8, 3)
    assert corners[0].tolist() == [0.0, 0.0, 0.0]
    assert corners[1].tolist() == [0.0, 0.0, 6.0]
    assert corners[-1].tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(ShapeError, match=r"expected \[2, 3\], got \[3\]"):
        unmap.unmap_box(np.zeros(3), (step,))


def test_picture_box_holds_the_box_and_no_more(sample):
    box = np.array([10.0, 20.0, 50.0, 44.0])
    left, top, right, bottom = unmap.unmap_picture_box(box, 1, sample.provenance)
    x, y = np.meshgrid(np.linspace(10, 50, 81), np.linspace(20, 44, 49))
    inside = np.stack([x.ravel(), y.ravel()], axis=1)
    raw = history.to_raw_pixels(inside, 1, sample.provenance)
    np.testing.assert_allclose([left, top], raw.min(axis=0), atol=0.01)
    np.testing.assert_allclose([right, bottom], raw.max(axis=0), atol=0.01)
    with pytest.raises(ShapeError, match=r"expected \[4\]"):
        unmap.unmap_picture_box(np.zeros(3), 1, sample.provenance)


def gaussians(kind, num_coefficients: int = 1) -> Gaussians:
    rng = np.random.default_rng(3)
    quats = rng.normal(size=(1, 6, 4))
    fields = (
        rng.uniform(-0.4, 0.4, (1, 6, 3)),
        quats / np.linalg.norm(quats, axis=-1, keepdims=True),
        rng.uniform(0.01, 0.1, (1, 6, 3)),
        rng.uniform(size=(1, 6)),
        rng.normal(size=(1, 6, num_coefficients, 3)),
    )
    return Gaussians(*(kind(field) for field in fields))


def covariances(one: Gaussians) -> np.ndarray:
    quats = np.asarray(one.quats, np.float64)[0]
    turns = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()
    scaled = turns * np.asarray(one.scales, np.float64)[0][:, None, :]
    return scaled @ np.swapaxes(scaled, 1, 2)


def test_gaussians_keep_mean_and_covariance_in_the_other_world(sample):
    given = gaussians(np.asarray)
    raw = unmap.unmap_gaussians(given, sample.provenance)
    np.testing.assert_allclose(history.from_raw_world(raw.means, sample.provenance), given.means)
    whole = history.world_change(sample.provenance)
    forward = whole.scale * np.array(whole.rotation)
    np.testing.assert_allclose(
        forward @ covariances(raw) @ forward.T, covariances(given), rtol=1e-9, atol=1e-12
    )
    assert np.array_equal(raw.opacities, given.opacities)
    assert np.array_equal(raw.sh, given.sh)


def test_gaussians_land_where_the_raw_camera_sees_them(sample):
    given = gaussians(np.asarray)
    raw = unmap.unmap_gaussians(given, sample.provenance)
    view = sample.views[2]
    seen, _ = project(given.means[0], view.c2w, view.fxfycxcy)
    pixels, _ = lens.project_raw(raw.means[0], raw_cameras()[3])
    expected = history.to_raw_pixels(seen, 2, sample.provenance)
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-8)


def test_tensors_stay_tensors(sample):
    given = gaussians(lambda field: torch.tensor(field, dtype=torch.float32, requires_grad=True))
    raw = unmap.unmap_gaussians(given, sample.provenance)
    assert raw.means.dtype == raw.quats.dtype == raw.scales.dtype == torch.float32
    expected = unmap.unmap_gaussians(gaussians(np.asarray), sample.provenance)
    np.testing.assert_allclose(raw.means, expected.means, rtol=1e-5, atol=1e-4)


def test_colours_that_change_with_direction_are_refused(sample):
    given = gaussians(np.asarray, 4)
    with pytest.raises(DataError, match=r"expected one spherical-harmonic coefficient .*, got 4"):
        unmap.unmap_gaussians(given, sample.provenance)
    shift = (Provenance("s", world=Similarity(2.0, translation=(1.0, 0.0, 0.0))),)
    np.testing.assert_allclose(unmap.unmap_gaussians(given, shift).scales, given.scales / 2)
