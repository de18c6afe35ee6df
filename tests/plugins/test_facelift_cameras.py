"""virtual_camera: exact maps, the subject in the middle, the contract kept, and its refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mfl_adapt_facelift_cameras.config import VirtualCameraConfig
from mfl_adapt_facelift_cameras.dolly import error_bound_px, magnification_error
from mfl_adapt_facelift_cameras.virtual_camera import VirtualCamera
from raw_rig import RAW_WORLD, TILTED_WORLD, aside, ball, pixels_of, raw_mouse, rotation, to_raw

from mfl_adapt.cameras import facelift_ring, history, lab_rig, lens, random_rig, similarity
from mfl_adapt.cameras.triangulation import triangulate
from mfl_adapt.checks import check_settings
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import measure_foreground, warp_sample
from mfl_adapt.synth import make_scene, render_scene, scene_seed
from mfl_adapt.types import Cameras

SIZE = 128
FOCAL = 0.5 / np.tan(np.radians(25.0))
MODES = ["subject", "contract_focal", "dolly"]
EXACT = MODES[:2]


def normalize(sample, **chosen):
    return VirtualCamera(VirtualCameraConfig(**({"size": SIZE} | chosen)))(sample)


def measured(sample):
    return sample.provenance[1].params["measured"]


def triangulated(sample):
    """The subject of a finished sample, by the centres of its masks."""
    centers = np.stack([measure_foreground(view.mask).centroid for view in sample.views])
    return triangulate(centers, sample.cameras.c2w, sample.cameras.fxfycxcy).point


def points_around(sample, count=200, reach=60.0):
    """Raw points around the subject of a finished sample, [P, 3]."""
    offsets = np.random.default_rng(7).uniform(-reach, reach, (count, 3))
    return np.array(measured(sample)["subject_raw"]) + offsets


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("index", "rig"), [(0, "lab"), (1, "lab"), (1, "random")])
def test_the_triangulated_subject_is_in_the_middle(mode, index, rig):
    sample = raw_mouse(index, seed=index, rig=rig)
    before = [abs(measure_foreground(view.mask).centroid - [68, 56]).max() for view in sample.views]
    assert max(before) > 5
    result = normalize(sample, mode=mode)
    for view in result.views:
        assert np.linalg.norm(pixels_of(triangulated(result)[None], view)[0] - SIZE / 2) < 0.5


@pytest.mark.parametrize("mode", EXACT)
def test_recorded_maps_and_cameras_agree(mode):
    """Raw projection and 3x3 map on one side, similarity and new projection on the other."""
    sample = raw_mouse(world=TILTED_WORLD)
    result = normalize(sample, mode=mode, up=(0.3, -0.2, 0.8), front=20.0)
    step, points = result.provenance[1], points_around(result)
    assert step.exact
    turn = np.array(step.world.rotation)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    moved = step.world.scale * points @ turn.T + np.array(step.world.translation)
    for view, raw, pixel_map in zip(result.views, sample.views, step.pixel_maps, strict=True):
        straight = pixels_of(points, raw)
        mapped = np.column_stack([straight, np.ones(len(points))]) @ np.array(pixel_map).T
        mapped = mapped[:, :2] / mapped[:, 2:]
        assert np.abs(mapped - pixels_of(moved, view)).max() < 1e-9
    assert history.round_trip_px(result, points).max() < 1e-9


@pytest.mark.parametrize("mode", EXACT)
def test_the_pictures_are_those_that_the_new_cameras_would_take(mode):
    result = normalize(raw_mouse(), mode=mode)
    back = similarity.invert(similarity.compose(RAW_WORLD, result.provenance[1].world))
    c2w = similarity.move_cameras(back, result.cameras.c2w)
    scene = make_scene("mice", scene_seed("train", 0))
    rendered = render_scene(scene, Cameras(c2w, result.cameras.fxfycxcy, SIZE, SIZE))
    for view, picture in zip(result.views, rendered, strict=True):
        seen, truth = view.mask > 127, picture.alpha > 0.5
        assert np.sum(seen & truth) / np.sum(seen | truth) > 0.93
        colours = np.abs(view.rgb / 255.0 - picture.rgb)[seen & truth]
        assert colours.mean() < 0.03


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    views=st.integers(1, 8),
    mode=st.sampled_from(EXACT),
    scale=st.floats(1e-3, 1e3),
    turn=st.floats(0.0, 25.0),
)
def test_any_rig_gives_true_centred_square_cameras(seed, views, mode, scale, turn):
    rng = np.random.default_rng(seed)
    rig = random_rig(rng, views, elevation_deg=(-40, 70), distance=(1.5, 4), focal_ratio=(0.5, 3))
    world = similarity.from_parts(
        scale, rotation(rng.normal(size=3), rng.uniform(0, 180)), scale * rng.normal(size=3) * 10
    )
    center = similarity.apply(world, rng.uniform(-0.2, 0.2, 3))
    up = similarity.apply(world, np.array([0, 0, 1.0])) - similarity.apply(world, np.zeros(3))
    chosen = {"center": tuple(center), "up": tuple(up), "extent": 0.7 * scale, "size": 8}
    result = normalize(to_raw(aside(rig, rng, turn_deg=turn), world=world), mode=mode, **chosen)
    points = center + scale * rng.uniform(-0.3, 0.3, (50, 3))
    for index, view in enumerate(result.views):
        raw = history.raw_camera(index, result.provenance)
        mapped = history.from_raw_pixels(lens.project_raw(points, raw)[0], index, result.provenance)
        seen = pixels_of(history.from_raw_world(points, result.provenance), view)
        assert np.abs(mapped - seen).max() < 1e-4
        turned = view.c2w[:3, :3]
        assert np.linalg.det(turned) == pytest.approx(1.0, abs=1e-9)
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-9)
        assert view.fxfycxcy[2:] == pytest.approx([4.0, 4.0], abs=1e-7)
        assert view.fxfycxcy[0] == pytest.approx(view.fxfycxcy[1], rel=1e-9)
        assert pixels_of(np.zeros((1, 3)), view)[0] == pytest.approx([4.0, 4.0], abs=1e-6)
        assert turned[2, 0] == pytest.approx(0.0, abs=1e-9), "the horizon is level"
        assert turned[2, 1] < 0, "+z is upwards in the picture"


def test_subject_mode_frames_the_contracts_extent():
    result = normalize(raw_mouse())
    distances = np.linalg.norm(result.cameras.centers, axis=1)
    # True ratios of distances stay: 414.5 to 246.1 about the rig's centre, a little off here.
    assert distances.max() / distances.min() > 1.5
    np.testing.assert_allclose(result.cameras.fxfycxcy[:, 0], FOCAL * SIZE * distances / 2.7)
    again = normalize(result, up=(0, 0, 1))
    assert again.provenance[2].params["measured"]["scale"] == pytest.approx(1.0, abs=0.02)


def test_contract_focal_mode_has_the_contracts_lens_and_mean_distance():
    result = normalize(raw_mouse(), mode="contract_focal", size=64)
    np.testing.assert_allclose(result.cameras.fxfycxcy[:, 0], 68.6242, rtol=1e-6)
    distances = np.linalg.norm(result.cameras.centers, axis=1)
    assert distances.mean() == pytest.approx(2.7)


def test_extent_is_the_diameter_of_a_ball():
    """A ball of radius r at distance d has a shadow of radius r / sqrt(1 - r^2 / d^2)."""
    rig = aside(facelift_ring(6, distance=2.5), np.random.default_rng(0), zoom=1.2)
    result = normalize(ball([0.05, 0.02, -0.03], 0.3, rig))
    shadow = 2 * 120 * 0.3 / np.sqrt(1 - 0.3**2 / 2.5**2)
    facts = measured(result)
    assert 1.45 / facts["scale"] == pytest.approx(shadow, rel=0.02)
    center = similarity.apply(RAW_WORLD, np.array([0.05, 0.02, -0.03]))
    np.testing.assert_allclose(facts["subject_raw"], center, atol=0.2)
    assert max(facts["residuals_px"]) < 0.3
    assert len(facts["extents"]) == len(facts["focals_px"]) == 6


def test_a_ball_seen_aslant_is_where_it_is():
    """At 28 degrees off the axis, raw centres of masks are off by some 3 of the 48 units."""
    rig = facelift_ring(6, distance=2.0, focal_ratio=0.6)
    cameras = aside(rig, np.random.default_rng(0), turn_deg=28, size=(240, 240))
    result = normalize(ball([0.05, 0.02, -0.03], 0.4, cameras))
    center = similarity.apply(RAW_WORLD, np.array([0.05, 0.02, -0.03]))
    np.testing.assert_allclose(measured(result)["subject_raw"], center, atol=0.1)


def test_one_bad_mask_changes_neither_place_nor_scale():
    rig = aside(facelift_ring(8, distance=2.5), np.random.default_rng(0), zoom=1.2)
    good = ball([0.0, 0.0, 0.0], 0.2, rig)
    mask = good.views[3].mask.copy()
    mask[5:60, 5:60] = 255
    bad = replace(
        good,
        views=tuple(replace(v, mask=mask) if i == 3 else v for i, v in enumerate(good.views)),
    )
    before, after = measured(normalize(good)), measured(normalize(bad))
    assert after["scale"] == pytest.approx(before["scale"], rel=0.02)
    np.testing.assert_allclose(after["subject_raw"], before["subject_raw"], atol=0.5)
    assert after["residuals_px"][3] > 10 * max(before["residuals_px"])


def test_masks_cut_by_the_frame_are_left_out_where_enough_are_whole():
    sample = raw_mouse()
    center = measure_foreground(sample.views[0].mask).centroid
    shift = np.array([[1, 0, 0.5 - center[0]], [0, 1, 0], [0, 0, 1]])
    maps = [shift] + [np.eye(3)] * 5
    cut = warp_sample(sample, step="cut", params={}, pixel_maps=maps)
    facts = normalize(cut).provenance[2].params["measured"]
    assert facts["subject_views"] == ["cam_001", "cam_002", "cam_003", "cam_004", "cam_005"]


def test_a_given_extent_is_in_raw_units_and_needs_no_masks_with_a_given_center():
    sample = to_raw(aside(lab_rig(), np.random.default_rng(1)))
    shrunk = warp_sample(
        sample, step="shrunk", params={}, world=similarity.from_parts(0.01, np.eye(3), np.zeros(3))
    )
    center = tuple(0.01 * np.array(RAW_WORLD.translation))
    bare = replace(shrunk, views=tuple(replace(view, mask=None) for view in shrunk.views))
    result = normalize(bare, center=center, extent=145.0)
    assert result.provenance[2].world.scale == pytest.approx(1.0)
    facts = result.provenance[2].params["measured"]
    np.testing.assert_allclose(facts["subject_raw"], RAW_WORLD.translation)
    assert facts["extents"] == facts["residuals_px"] == []


def test_contract_focal_mode_needs_no_masks_with_a_given_center():
    sample = raw_mouse()
    bare = changed(sample, **{f"v{i}": {"mask": None} for i in range(6)})
    result = normalize(bare, mode="contract_focal", center=RAW_WORLD.translation)
    assert measured(result)["extent"] is None
    assert np.linalg.norm(result.cameras.centers, axis=1).mean() == pytest.approx(2.7)


def test_up_is_estimated_and_the_front_turned():
    cameras = aside(facelift_ring(6), np.random.default_rng(2))
    sample = to_raw(cameras, world=TILTED_WORLD)
    center = tuple(TILTED_WORLD.translation)
    facts = {"center": center, "extent": 100.0}
    result = normalize(sample, up="auto", **facts)
    elevations = np.degrees(
        np.arcsin(result.cameras.centers[:, 2] / np.linalg.norm(result.cameras.centers, axis=1))
    )
    np.testing.assert_allclose(elevations, 20.0, atol=1e-6)
    x, y, _ = result.cameras.centers[2]
    azimuth = float(np.degrees(np.arctan2(y, x)))
    x, y, _ = normalize(sample, up="auto", front=azimuth, **facts).cameras.centers[2]
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(-90.0)


def test_dolly_relabels_and_says_so():
    result = normalize(raw_mouse(), mode="dolly")
    exact, approximate = result.provenance[1:]
    assert exact.exact
    assert not approximate.exact
    assert exact.step == approximate.step == "facelift_cameras.virtual_camera"
    np.testing.assert_allclose(np.linalg.norm(result.cameras.centers, axis=1), 2.7)
    np.testing.assert_allclose(result.cameras.fxfycxcy[:, 0], FOCAL * SIZE)
    assert len(approximate.params["error_bound_px"]) == 6
    json.dumps([dict(exact.params), dict(approximate.params)], allow_nan=False)


def test_the_dolly_bound_bounds_what_is_measured():
    sample = raw_mouse()
    exact, dolly = normalize(sample), normalize(sample, mode="dolly")
    params = dolly.provenance[2].params
    rng = np.random.default_rng(3)
    points = rng.normal(size=(20000, 3))
    points *= params["radius"] / np.linalg.norm(points, axis=1, keepdims=True)
    points *= rng.uniform(0.9, 1.0, (len(points), 1))
    for true, called, bound in zip(exact.views, dolly.views, params["error_bound_px"], strict=True):
        assert np.array_equal(true.rgb, called.rgb)
        error = np.linalg.norm(pixels_of(points, true) - pixels_of(points, called), axis=1).max()
        assert 0.98 * bound < error <= bound


def test_dolly_formulas_by_hand():
    # d (2.7 + z) / (2.7 (d + z)) - 1 at z = -0.4 for d = 2.0, 2.49 and 3.38, and none at 2.7.
    errors = magnification_error(np.array([2.0, 2.49, 3.38, 2.7]), radius=0.4, distance=2.7)
    expected = [4.6 / 4.32 - 1, 2.49 * 2.3 / (2.7 * 2.09) - 1, 1 - 3.38 * 2.3 / (2.7 * 2.98), 0.0]
    np.testing.assert_allclose(errors, expected, atol=1e-12)
    np.testing.assert_allclose(expected, [0.065, 0.015, 0.034, 0.0], atol=5e-4)
    # A tiny ball: r^2 / 2 is the largest product of lateral and depth offset.
    bound = error_bound_px(np.array([2.0]), radius=1e-3, distance=2.7, focal_px=549.0)
    assert bound[0] == pytest.approx(549.0 * 0.5e-6 * 0.7 / (2.7 * 2.0 * 2.7), rel=2e-3)


@pytest.mark.parametrize("kind", ["world", "pixels"])
def test_keypoints_place_the_subject(kind, tmp_path):
    sample = raw_mouse(seed=5)
    point = similarity.apply(RAW_WORLD, np.array([0.1, -0.05, 0.02]))
    entry = point.tolist()
    if kind == "pixels":
        entry = {view.name: pixels_of(point[None], view)[0].tolist() for view in sample.views[:3]}
        entry["cam_004"] = None
    file = tmp_path / "keypoints.json"
    file.write_text(json.dumps({sample.id: entry}))
    result = normalize(sample, center="keypoints", keypoints=file, extent=150.0)
    np.testing.assert_allclose(measured(result)["subject_raw"], point, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r":1: expected JSON of keypoints per sample id, got"),
        ("[]", "got list"),
        ("{}", "expected a point of sample mouse-000120, got none"),
        ('{"mouse-000120": [1, 2]}', r"got \[1, 2\]"),
        ('{"mouse-000120": [1, 2, NaN]}', "got .1, 2, NaN"),
        ('{"mouse-000120": {"cam_000": [1, "a"]}}', r'got \[1, "a"\]'),
        ('{"mouse-000120": {"cam_009": [1, 2]}}', "got 'cam_009'"),
        ('{"mouse-000120": {"cam_000": [1, 2], "cam_001": null}}', "2 views or more, got 1"),
    ],
)
def test_bad_keypoints_are_one_clear_line(content, message, tmp_path):
    file = tmp_path / "keypoints.json"
    file.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        normalize(raw_mouse(), center="keypoints", keypoints=file)
    assert "\n" not in str(caught.value)


def test_missing_keypoints_are_found_when_the_stage_is_built(tmp_path):
    config = VirtualCameraConfig(center="keypoints", keypoints=tmp_path / "none.json")
    with pytest.raises(DataError, match=r"none\.json"):
        VirtualCamera(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "dollly"}, "Did you mean 'dolly'"),
        ({"up": [0, 0, 0]}, "up: expected auto or a direction, got a vector of length 0"),
        ({"extent": 0}, "extent: expected auto or a number above 0, got 0"),
        ({"center": "keypoints"}, "one without the other"),
        ({"keypoints": "a.json"}, "one without the other"),
        ({"center": "middle"}, "center"),
        ({"target_distance": 2.7}, "unknown key"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(VirtualCameraConfig, settings)


def changed(sample, **masks_or_poses):
    views = list(sample.views)
    for key, change in masks_or_poses.items():
        index = int(key[1:])
        views[index] = replace(views[index], **change)
    return replace(sample, views=tuple(views))


def test_refusals_name_what_to_do():
    sample = raw_mouse()
    few = changed(sample, **{f"v{i}": {"mask": None} for i in range(4)})
    with pytest.raises(DataError, match=r"masks in 3 views or more .* got 2.*\[x, y, z\]"):
        normalize(few)
    none = changed(sample, **{f"v{i}": {"mask": None} for i in range(6)})
    with pytest.raises(DataError, match="expected masks to measure the subject"):
        normalize(none, center=RAW_WORLD.translation)
    empty = changed(sample, v2={"mask": np.zeros_like(sample.views[2].mask)})
    with pytest.raises(DataError, match="mouse-000120/cam_002: expected a mask that shows"):
        normalize(empty)
    with pytest.raises(DataError, match="at least one view"):
        normalize(replace(sample, views=()))
    away = sample.views[0].c2w[:3, 3] - np.array(RAW_WORLD.translation)
    with pytest.raises(DataError, match=r"sample mouse-000120: look_at: .* not parallel to up"):
        normalize(sample, center=RAW_WORLD.translation, extent=100.0, up=tuple(away))


def test_a_subject_behind_a_camera_is_refused():
    sample = raw_mouse()
    backwards = sample.views[1].c2w.copy()
    backwards[:3, [0, 2]] *= -1
    turned = changed(sample, v1={"c2w": backwards})
    with pytest.raises(DataError, match=r"cam_001: expected the subject in front .* behind it"):
        normalize(turned, center=RAW_WORLD.translation, extent=100.0)
    with pytest.raises(DataError, match="in front of the camera"):
        normalize(turned)


def test_parallel_cameras_are_refused():
    sample = raw_mouse()
    same = {"c2w": sample.views[0].c2w, "mask": sample.views[0].mask}
    same["fxfycxcy"] = sample.views[0].fxfycxcy
    with pytest.raises(DataError, match="sample mouse-000120: triangulate: expected rays"):
        normalize(changed(sample, **{f"v{i}": same for i in range(6)}))


def test_dolly_refuses_a_camera_inside_the_subject():
    with pytest.raises(DataError, match="outside of the subject"):
        normalize(raw_mouse(), mode="dolly", distance=0.3)
