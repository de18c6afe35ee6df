"""Histories: exact both ways, through lenses and permutations, and refused where they are torn."""

from dataclasses import replace

import numpy as np
import pytest
from histories import SUBJECT, finished_sample, raw_cameras, raw_sample
from hypothesis import given, settings
from hypothesis import strategies as st

from mfl_adapt.cameras import history, lens, project
from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import relabel_cameras
from mfl_adapt.types import Provenance


@pytest.fixture(scope="module")
def sample():
    return finished_sample()


def test_raw_points_project_alike_on_both_ways(sample):
    points = SUBJECT + np.random.default_rng(1).uniform(-30.0, 30.0, (200, 3))
    finished = history.from_raw_world(points, sample.provenance)
    for index, raw in enumerate((2, 0, 3)):
        assert history.raw_view(index, sample.provenance) == raw
        pixels, _ = lens.project_raw(points, raw_cameras()[raw])
        expected, _ = project(finished, sample.views[index].c2w, sample.views[index].fxfycxcy)
        found = history.from_raw_pixels(pixels, index, sample.provenance)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
        back = history.to_raw_pixels(found, index, sample.provenance)
        np.testing.assert_allclose(back, pixels, rtol=0, atol=1e-8)
    back = history.to_raw_world(finished, sample.provenance)
    np.testing.assert_allclose(back, points, rtol=0, atol=1e-10)


def test_the_subject_is_where_it_was_sent(sample):
    moved = history.from_raw_world(SUBJECT[None], sample.provenance)
    np.testing.assert_allclose(moved, 0.0, atol=1e-12)
    pixels, _ = project(moved, sample.cameras.c2w, sample.cameras.fxfycxcy)
    np.testing.assert_allclose(pixels, 32.0, atol=1e-9)


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(1e-4, 1e3), size=st.integers(16, 90))
def test_round_trip_is_rounding_alone(scale, size):
    worst = history.round_trip_px(finished_sample(scale, size))
    assert worst.shape == (3,)
    assert (worst < 1e-6).all()


def test_round_trip_with_given_points_and_another_seed(sample):
    near = SUBJECT + np.array([[1.0, 2.0, 3.0]])
    assert (history.round_trip_px(sample, near) < 1e-6).all()
    assert (history.round_trip_px(sample, seed=5) < 1e-6).all()
    behind = SUBJECT + np.array([[0.0, 0.0, 1e6]])
    assert np.isinf(history.round_trip_px(sample, behind)).all()


def test_round_trip_of_one_view():
    begun = raw_sample()
    alone = replace(
        begun, views=begun.views[:1], provenance=(replace(begun.provenance[0], order=(0,)),)
    )
    assert history.round_trip_px(alone)[0] < 1e-6


@pytest.mark.parametrize("fault", ["focal", "center", "turn", "map", "order", "world"])
def test_round_trip_sees_every_kind_of_lie(sample, fault):
    steps, views = list(sample.provenance), list(sample.views)
    if fault == "focal":  # one per cent: 0.3 px at 32 px from the middle
        views[0] = replace(views[0], fxfycxcy=views[0].fxfycxcy * [1.01, 1.01, 1.0, 1.0])
    elif fault == "center":
        views[0] = replace(views[0], fxfycxcy=views[0].fxfycxcy + np.array([0.0, 0.0, 0.5, 0.0]))
    elif fault == "turn":
        views[0] = replace(views[0], c2w=views[1].c2w)
    elif fault == "map":
        shifted = np.array(steps[1].pixel_maps[0])
        shifted[:2] += 0.5 * shifted[2]
        maps = (tuple(tuple(row) for row in shifted.tolist()), *steps[1].pixel_maps[1:])
        steps[1] = replace(steps[1], pixel_maps=maps)
    elif fault == "order":
        steps[1] = replace(steps[1], order=(1, 0, 3))
    else:
        steps[1] = replace(steps[1], world=replace(steps[1].world, scale=0.0081))
    broken = replace(sample, views=tuple(views), provenance=tuple(steps))
    # 0.09 px: the map's half pixel, after the last step's 80 -> 64, and less for the scale.
    assert history.round_trip_px(broken)[0] > 0.09


def test_relabelled_cameras_show_in_the_round_trip(sample):
    cameras = sample.cameras
    nearer = cameras.c2w.copy()
    nearer[:, :3, 3] *= 0.9
    labelled = relabel_cameras(sample, replace(cameras, c2w=nearer), step="n5", params={})
    assert (history.round_trip_px(labelled) > 1.0).all()


def test_without_raw_cameras_the_past_is_unknown():
    torn = (Provenance("old_reader"), Provenance("conform"))
    with pytest.raises(DataError, match="names the raw cameras, got old_reader, conform"):
        history.to_raw_pixels(np.zeros((1, 2)), 0, torn)
    with pytest.raises(DataError, match="got no step"):
        history.from_raw_pixels(np.zeros((1, 2)), 0, ())


def test_unknown_views_are_refused(sample):
    for view in (-1, 3):
        with pytest.raises(RangeError, match=rf"view from 0 to 2 at step conform, got {view}"):
            history.to_raw_pixels(np.zeros((1, 2)), view, sample.provenance)
