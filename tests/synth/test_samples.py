from itertools import pairwise

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_slots, lab_rig
from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import digest_views
from mfl_adapt.synth import (
    GENERATOR_VERSION,
    make_rig,
    make_scene,
    render_sample,
    render_view,
    scene_seed,
)
from mfl_adapt.synth.constants import HEAD_FOREGROUND, SEEDS_PER_STREAM, STREAMS_PER_SPLIT


def bytes_of(sample):
    return [view.rgb.tobytes() + view.mask.tobytes() for view in sample.views]


def test_a_sample_is_what_its_records_say():
    sample = render_sample("heads", 4, "validation", size=24, num_views=3, stream=2)
    assert sample.id == "heads-validation-2-000004"
    assert [view.name for view in sample.views] == ["cam_000", "cam_001", "cam_002"]
    for view in sample.views:
        assert view.rgb.shape == (24, 24, 3)
        assert view.rgb.dtype == view.mask.dtype == np.uint8
        assert view.c2w.dtype == np.float64
        assert (view.rgb[view.mask == 0] == 255).all()
    (record,) = sample.provenance
    assert record.digest == digest_views(sample.views)
    assert record.params["generator"] == GENERATOR_VERSION
    # The record alone is enough to draw the scene again.
    scene = make_scene(record.params["species"], record.params["seed"])
    view = sample.views[1]
    again = render_view(scene.ellipsoids, view.c2w, view.fxfycxcy, height=24, width=24)
    np.testing.assert_array_equal(np.rint(again.alpha * 255), view.mask)


@pytest.mark.parametrize("species", ["heads", "mice"])
def test_the_same_seed_gives_the_same_bytes(species):
    settings = {"rig": "random", "size": 16, "num_views": 2, "elevation_deg": (0.0, 30.0)}
    first, again = (render_sample(species, 5, "train", **settings) for _ in range(2))
    assert bytes_of(first) == bytes_of(again)
    assert first.provenance[0].digest == again.provenance[0].digest


@pytest.mark.parametrize("species", ["heads", "mice"])
def test_index_stream_and_split_each_change_the_scene(species):
    shots = [
        (0, "train", 0),
        (1, "train", 0),
        (0, "train", 1),
        (0, "validation", 0),
        (0, "test", 0),
    ]
    seen = {
        render_sample(species, index, split, rig="slots", size=16, stream=stream)
        .provenance[0]
        .digest
        for index, split, stream in shots
    }
    assert len(seen) == len(shots)


def test_seed_blocks_do_not_overlap():
    last = (SEEDS_PER_STREAM - 1, STREAMS_PER_SPLIT - 1)
    ends = [
        (scene_seed(split, 0), scene_seed(split, last[0], stream=last[1]))
        for split in ("train", "validation", "test")
    ]
    for (_, end), (start, _) in pairwise(ends):
        assert end < start
    assert scene_seed("train", 0, stream=1) == scene_seed("train", SEEDS_PER_STREAM - 1) + 1


def test_every_rig_sees_the_same_scene():
    cameras = make_rig("mice", 9, "lab", size=16)
    np.testing.assert_array_equal(cameras.c2w, lab_rig(16).c2w)
    slots = render_sample("mice", 9, rig="slots", size=16)
    np.testing.assert_array_equal(slots.cameras.c2w, facelift_slots(16).c2w)
    seeds = {
        render_sample("mice", 9, rig=rig, size=16, num_views=2).provenance[0].params["seed"]
        for rig in ("ring", "random", "slots", "lab")
    }
    assert seeds == {9}


def test_ring_has_one_elevation_and_random_has_many():
    ring = make_rig("heads", 1, "ring", num_views=5, elevation_deg=(0.0, 40.0))
    wild = make_rig("heads", 1, "random", num_views=5, elevation_deg=(0.0, 40.0))
    assert np.ptp(ring.centers[:, 2]) < 1e-12
    assert np.ptp(wild.centers[:, 2]) > 0.1
    other = make_rig("heads", 2, "ring", num_views=5)
    assert not np.allclose(other.centers, make_rig("heads", 1, "ring", num_views=5).centers)


def test_heads_fill_the_documented_share_and_are_cut_only_below():
    low, high = HEAD_FOREGROUND
    for index in range(25):
        sample = render_sample("heads", index, size=32, num_views=8)
        masks = np.stack([view.mask for view in sample.views]) / 255.0
        assert low <= masks.mean() <= high
        assert (masks[:, -1].max(axis=1) == 1).all()
        assert masks[:, 0].max() == 0
        # Shoulders may touch the sides of the last rows, the head itself never.
        assert masks[:, :20, [0, -1]].max() == 0


def test_mice_are_near_the_origin_and_mostly_dark():
    brightness = []
    for index in range(40):
        sample = render_sample("mice", index, size=32, num_views=3)
        masks = np.stack([view.mask for view in sample.views])
        # The FaceLift field of view shows the whole animal.
        assert max(masks[:, [0, -1]].max(), masks[:, :, [0, -1]].max()) < 128
        rgb = np.stack([view.rgb for view in sample.views])
        brightness.append(rgb[masks > 127].mean())
    # Real laboratory mice of the black strain have a mean of 40 to 60; some here are white.
    assert 40 <= np.median(np.sort(brightness)[:16]) <= 60
    assert max(brightness) > 120


def test_heads_look_towards_minus_y():
    for seed in range(10):
        parts = {part.name: part for part in make_scene("heads", seed).ellipsoids}
        assert parts["nose_tip"].center[1] < parts["skull"].center[1] - 0.3
        assert parts["left_ear"].center[0] > parts["right_ear"].center[0]


def test_mice_stand_on_their_feet():
    for seed in range(20):
        parts = make_scene("mice", seed).ellipsoids
        foot = np.mean([part.center[2] for part in parts if part.name.endswith("_foot")])
        trunk = np.mean([part.center[2] for part in parts if part.name == "trunk"])
        ears = np.mean([part.center[2] for part in parts if part.name.endswith("_ear")])
        assert foot < trunk
        assert foot < ears


def test_bad_words_and_numbers_are_refused():
    with pytest.raises(DataError, match=r"known species, got 'mouse'\. Known: heads, mice"):
        render_sample("mouse", 0)
    with pytest.raises(DataError, match="known split, got 'val'"):
        render_sample("mice", 0, "val")
    with pytest.raises(DataError, match=r"known rig, got 'labs'\. Did you mean 'lab'"):
        render_sample("mice", 0, rig="labs")
    with pytest.raises(RangeError, match="index"):
        render_sample("mice", SEEDS_PER_STREAM)
    with pytest.raises(RangeError, match="stream"):
        render_sample("mice", 0, stream=-1)
    with pytest.raises(RangeError, match="seed"):
        make_scene("mice", -1)
