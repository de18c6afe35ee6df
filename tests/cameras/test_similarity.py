"""Similarities: applied by hand, undone, chained, and moving cameras without moving pictures."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mfl_adapt.cameras import lab_rig, project, similarity
from mfl_adapt.types import Similarity

numbers = st.floats(-50.0, 50.0)


@st.composite
def similarities(draw) -> Similarity:
    turn = Rotation.from_rotvec([draw(st.floats(-3.0, 3.0)) for _ in range(3)]).as_matrix()
    return similarity.from_parts(
        draw(st.floats(1e-3, 1e3)), turn, np.array([draw(numbers) for _ in range(3)])
    )


def test_by_hand():
    # Twice as large, a quarter turn about z, then 10 along x: (1, 0, 0) -> (0, 2, 0) -> (10, 2, 0).
    change = Similarity(2.0, ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), (10.0, 0.0, 0.0))
    assert similarity.apply(change, np.array([1.0, 0.0, 0.0])).tolist() == [10.0, 2.0, 0.0]
    assert similarity.apply(similarity.invert(change), np.array([10.0, 2.0, 0.0])).tolist() == [
        1.0,
        0.0,
        0.0,
    ]


@settings(deadline=None, max_examples=50)
@given(similarities(), similarities())
def test_inverse_and_chain(first, second):
    points = np.random.default_rng(0).normal(size=(2, 5, 3))
    there = similarity.apply(first, points)
    back = similarity.apply(similarity.invert(first), there)
    # Far away points lose digits to the translation, in units of the old world.
    room = 1e-12 * (1 + np.abs(there).max() / first.scale)
    np.testing.assert_allclose(back, points, rtol=0, atol=room)
    chained = similarity.apply(similarity.compose(first, second), points)
    one_by_one = similarity.apply(second, there)
    np.testing.assert_allclose(chained, one_by_one, rtol=1e-9, atol=1e-9 * np.abs(chained).max())


@settings(deadline=None, max_examples=30)
@given(similarities())
def test_moved_cameras_see_moved_points_in_the_same_pixels(change):
    rig = lab_rig(512)
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))
    before, depth = project(points, rig.c2w, rig.fxfycxcy)
    moved = similarity.move_cameras(change, rig.c2w)
    after, new_depth = project(similarity.apply(change, points), moved, rig.fxfycxcy)
    lost = 1 + 50.0 / change.scale
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9 * lost)
    np.testing.assert_allclose(new_depth, change.scale * depth, rtol=1e-10 * lost)
    np.testing.assert_allclose(np.linalg.det(moved[:, :3, :3]), 1.0, atol=1e-12)


def test_no_change_keeps_the_bits():
    poses = lab_rig(512).c2w
    moved = similarity.move_cameras(Similarity(), poses)
    assert np.array_equal(moved, poses)
    assert moved is not poses
