"""scene_scale, up_axis and slots: the world changes, no pixel does."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mfl_adapt_facelift_cameras import register_components
from mfl_adapt_facelift_cameras.config import SceneScaleConfig, SlotsConfig, UpAxisConfig
from mfl_adapt_facelift_cameras.rotations import rotation_between
from mfl_adapt_facelift_cameras.scene_scale import SceneScale
from mfl_adapt_facelift_cameras.slots import Slots
from mfl_adapt_facelift_cameras.up_axis import UpAxis
from raw_rig import RAW_WORLD, TILTED_WORLD, aside, pixels_of, raw_mouse, rotation, to_raw

from mfl_adapt.cameras import (
    facelift_ring,
    facelift_slots,
    history,
    lab_rig,
    look_at,
    orbit,
    similarity,
)
from mfl_adapt.errors import DataError
from mfl_adapt.plugin import CameraNormalizerSpec
from mfl_adapt.types import Cameras

NO_TILT = similarity.from_parts(120.0, rotation([0, 0, 1], 40.0), np.zeros(3))


def scale(sample, **settings):
    return SceneScale(SceneScaleConfig(**settings))(sample)


def upright(sample, **settings):
    return UpAxis(UpAxisConfig(**settings))(sample)


def to_slots(sample, **settings):
    return Slots(SlotsConfig(**settings))(sample)


def sample_of(rig, *, world=RAW_WORLD):
    small = Cameras(rig.c2w, rig.fxfycxcy * (8 / rig.width), 8, 8)
    return to_raw(small, world=world)


def measured(sample):
    return sample.provenance[-1].params["measured"]


def test_four_normalizers_are_offered():
    specs = register_components()
    assert [spec.name for spec in specs] == ["virtual_camera", "scene_scale", "up_axis", "slots"]
    assert all(isinstance(spec, CameraNormalizerSpec) for spec in specs)


@pytest.mark.parametrize(
    "change",
    [
        lambda sample: scale(sample),
        lambda sample: scale(sample, about="masks"),
        lambda sample: upright(sample),
        lambda sample: upright(sample, up=(0.2, 0.1, -0.9)),
        lambda sample: to_slots(sample, about="masks"),
    ],
)
def test_no_pixel_moves_and_the_history_is_exact(change):
    before = raw_mouse()
    after = change(before)
    names = {view.name: view for view in before.views}
    for view in after.views:
        assert np.array_equal(view.rgb, names[view.name].rgb)
        assert np.array_equal(view.mask, names[view.name].mask)
        assert np.array_equal(view.fxfycxcy, names[view.name].fxfycxcy)
        assert np.linalg.det(view.c2w[:3, :3]) == pytest.approx(1.0)
    assert len(after.provenance) == 2
    assert after.provenance[1].exact
    assert history.round_trip_px(after).max() < 1e-9
    json.dumps(dict(after.provenance[1].params), allow_nan=False)


def test_scene_scale_about_the_origin_keeps_it():
    result = scale(sample_of(lab_rig(), world=NO_TILT))
    assert np.linalg.norm(result.cameras.centers, axis=1).mean() == pytest.approx(2.7)
    # The raw world's units are 1 / 120 of the rig's own.
    distance = np.linalg.norm(lab_rig().centers, axis=1).mean()
    assert result.provenance[1].world.scale == pytest.approx(2.7 / distance / 120)
    assert result.provenance[1].world.translation == (0.0, 0.0, 0.0)


def test_scene_scale_about_the_subject_moves_it_to_the_origin():
    result = scale(raw_mouse(), about="masks", distance=3.0)
    assert np.linalg.norm(result.cameras.centers, axis=1).mean() == pytest.approx(3.0)
    subject = history.from_raw_world(np.array(measured(result)["subject_raw"]), result.provenance)
    np.testing.assert_allclose(subject, 0.0, atol=1e-12)
    result = scale(raw_mouse(), about=RAW_WORLD.translation)
    np.testing.assert_allclose(
        history.from_raw_world(np.array(RAW_WORLD.translation), result.provenance), 0, atol=1e-12
    )


def test_up_of_a_level_ring_is_exact_in_any_tilted_world():
    world = TILTED_WORLD
    result = upright(sample_of(facelift_ring(6), world=world))
    truth = np.array(world.rotation)[:, 2]
    np.testing.assert_allclose(measured(result)["up"], truth, atol=1e-9)
    assert measured(result)["angle_deg"] == pytest.approx(np.degrees(np.arccos(truth[2])))
    assert measured(result)["flatness"] == pytest.approx(1.0)
    assert np.array(result.provenance[1].world.rotation) @ truth == pytest.approx([0, 0, 1])


def test_up_of_the_lab_rig_is_near_the_truth():
    found = np.array(measured(upright(sample_of(lab_rig(), world=TILTED_WORLD)))["up"])
    cosine = found @ np.array(TILTED_WORLD.rotation)[:, 2]
    assert np.degrees(np.arccos(cosine)) < 1.5


def test_up_is_above_the_cameras_even_where_they_look_up():
    """Cameras below the subject: their own up decides the sign, not where they stand."""
    rig = facelift_ring(5, -40.0)
    np.testing.assert_allclose(measured(upright(sample_of(rig, world=NO_TILT)))["up"], [0, 0, 1])
    upside_down = rig.c2w.copy()
    upside_down[:, :3, :2] *= -1
    turned = replace(rig, c2w=upside_down)
    found = measured(upright(sample_of(turned, world=NO_TILT)))["up"]
    np.testing.assert_allclose(found, [0, 0, -1], atol=1e-9)


def test_rotation_between_opposite_and_equal_directions():
    for axis in np.eye(3):
        for end in (axis, -axis):
            turn = rotation_between(axis, end)
            np.testing.assert_allclose(turn @ axis, end, atol=1e-12)
            assert np.linalg.det(turn) == pytest.approx(1.0)
    turn = rotation_between([1, 2, 3], [-3, 0.5, 1])
    np.testing.assert_allclose(
        turn @ [1, 2, 3], np.array([-3, 0.5, 1]) * np.sqrt(14 / 10.25), atol=1e-12
    )
    # The axis of the smallest rotation stays where it is.
    axis = np.cross([1, 2, 3], [-3, 0.5, 1])
    np.testing.assert_allclose(turn @ axis, axis, atol=1e-12)


def line_of_cameras():
    centers = np.array([[x, -3.0, 0.01 * x**2] for x in (-1.0, -0.4, 0.3, 1.0)])
    return replace(facelift_ring(4), c2w=look_at(centers))


def arc_of_cameras():
    """From left over the top to the right: the normal of their plane lies flat."""
    same = np.ones(5)
    return orbit([0, 0, 0, 180, 180], [0, 40, 80, 40, 0], 2.7 * same, same, 64)


def dome_of_cameras():
    same = np.ones(6)
    return orbit([0, 120, 240, 60, 180, 300], [-55, -55, -55, 55, 55, 55], 2.7 * same, same, 64)


@pytest.mark.parametrize(
    ("rig", "message"),
    [
        (facelift_ring(2), "three cameras or more to estimate up, got 2"),
        (line_of_cameras(), "nearly in one line"),
        (arc_of_cameras(), "mean camera up with only 0"),
        (dome_of_cameras(), r"flatness of 0\."),
    ],
)
def test_rigs_that_do_not_tell_up_are_refused(rig, message):
    sample = sample_of(rig)
    with pytest.raises(DataError, match=message) as caught:
        upright(sample)
    assert "Give the direction as up" in str(caught.value)
    assert upright(sample, up=(0, 0, 2)).provenance[1].world.rotation == (
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 1.0),
    )


def test_a_doubtful_up_is_logged(caplog):
    same = np.ones(6)
    rig = orbit([0, 60, 120, 180, 240, 300], [0, 35, 0, 35, 0, 35], 2.7 * same, same, 64)
    found = measured(upright(sample_of(rig, world=NO_TILT)))
    assert 0.5 < found["flatness"] < 0.9
    assert "up is doubtful" in caplog.text


@pytest.mark.parametrize("front", ["best", "cam_000", 270.0])
def test_facelifts_cameras_keep_their_slots(front):
    sample = sample_of(facelift_slots(), world=similarity.from_parts(120.0, np.eye(3), np.zeros(3)))
    result = to_slots(sample, front=front)
    assert measured(result)["permutation"] == [0, 1, 2, 3, 4, 5]
    assert max(measured(result)["angles_deg"]) < 1e-9
    np.testing.assert_allclose(result.cameras.c2w, sample.cameras.c2w, atol=1e-12)


def test_shuffled_cameras_find_their_slots_and_the_world_turns():
    order = [3, 0, 5, 1, 4, 2]
    rig = facelift_slots()[order]
    result = to_slots(sample_of(rig, world=RAW_WORLD), about=RAW_WORLD.translation)
    assert [order[view] for view in measured(result)["permutation"]] == [0, 1, 2, 3, 4, 5]
    assert max(measured(result)["angles_deg"]) < 1e-3
    assert measured(result)["turn_deg"] == pytest.approx(-73.0, abs=1e-4)
    assert result.provenance[1].order == tuple(measured(result)["permutation"])
    centers = result.cameras.centers
    azimuths = np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360
    np.testing.assert_allclose(azimuths, [270, 225, 180, 90, 0, 315], atol=1e-3)


def test_a_mirrored_rig_is_not_taken_for_the_right_one():
    """FaceLift's azimuths counted the other way round: front, front-left, left and so on."""
    same = np.ones(6)
    mirrored = orbit([270, 315, 0, 90, 180, 225], 0 * same, 2.7 * same, same, 64)
    world = similarity.from_parts(120.0, np.eye(3), np.zeros(3))
    result = to_slots(sample_of(mirrored, world=world), front="cam_000")
    assert measured(result)["permutation"] == [0, 5, 4, 3, 2, 1]


def test_a_named_front_or_an_azimuth_decides_the_turn():
    sample = sample_of(lab_rig(), world=similarity.from_parts(120.0, np.eye(3), np.zeros(3)))
    named = to_slots(sample, front="cam_001")
    assert named.views[0].name == "cam_001"
    # The camera's azimuth is 34 degrees in the rig's table.
    assert measured(named)["turn_deg"] == pytest.approx(-124.0)
    given = to_slots(sample, front=34.0)
    assert measured(given)["permutation"] == measured(named)["permutation"]
    best = to_slots(sample)
    assert sum(measured(best)["angles_deg"]) <= sum(measured(named)["angles_deg"])


def test_too_few_views_are_refused_unless_allowed():
    sample = sample_of(facelift_slots()[[0, 1, 3]], world=NO_TILT)
    with pytest.raises(DataError, match=r"each of 6 slots, got 3.*allow_partial"):
        to_slots(sample)
    result = to_slots(sample, allow_partial=True, front="cam_000")
    assert measured(result)["slots"] == [0, 1, 3]
    assert max(measured(result)["angles_deg"]) < 1e-9


def test_slots_refuse_an_unknown_front_and_a_subject_behind():
    sample = sample_of(lab_rig())
    with pytest.raises(DataError, match=r"one of cam_000, .* got 'cam_00'"):
        to_slots(sample, front="cam_00", about=RAW_WORLD.translation)
    with pytest.raises(DataError, match="in front of the camera"):
        to_slots(sample, about=(5e3, 0.0, 0.0))
    overhead = sample_of(aside(facelift_ring(6, 80.0), np.random.default_rng(0)))
    above = np.array(RAW_WORLD.translation)
    above[2] += 300.0
    pose = look_at(above, RAW_WORLD.translation, up=(1, 0, 0))
    top = replace(overhead.views[0], c2w=pose)
    with pytest.raises(DataError, match="straight above"):
        to_slots(
            replace(overhead, views=(top, *overhead.views[1:])),
            front="cam_000",
            about=RAW_WORLD.translation,
        )


def test_a_scaled_sample_still_sees_its_subject():
    result = scale(raw_mouse(), about="masks")
    for view in result.views:
        assert np.isfinite(pixels_of(np.zeros((1, 3)), view)).all()
