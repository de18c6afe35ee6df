"""One camera, session or animal at a time."""

from dataclasses import replace

import numpy as np
import pytest
from mfl_adapt_view_policies.config import FixedConfig
from mfl_adapt_view_policies.fixed import Fixed
from white_base import NoAdapter, Nothing, psnr_of_white

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.config import load_config
from mfl_adapt.data import PreparedDataset, SlotViews, Split, conform
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate import Evaluation, Scores, evaluate
from mfl_adapt.evaluate.leave_one import Group, LeaveOneOut, camera_splits, leave_one_out
from mfl_adapt.evaluate.scores import average
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.pipeline import OpenData
from mfl_adapt.synth import render_sample
from mfl_adapt.types import ViewSplit

CONTRACT = TINY.contract()


def test_every_camera_is_compared_with_once_and_never_its_own_input():
    cameras = facelift_ring(8, 20.0, size=16)
    passes = camera_splits(cameras, ViewSplit((0, 2, 5), (1, 6)))
    targets = [view for one in passes for view in one.targets]
    assert sorted(targets) == list(range(8))
    assert all(not set(one.inputs) & set(one.targets) for one in passes)
    # On a ring of 45 degrees the nearest left-over camera is a neighbour: 1 or 7 of 0 (the lower
    # one of two that are equally near), 1 or 3 of 2, 4 or 6 of 5.
    assert passes == [
        ViewSplit((0, 2, 5), (1, 3, 4, 6, 7)),
        ViewSplit((1, 2, 5), (0,)),
        ViewSplit((0, 1, 5), (2,)),
        ViewSplit((0, 2, 4), (5,)),
    ]


def test_a_camera_that_nothing_can_replace_leaves_one_input_fewer():
    cameras = facelift_ring(3, 20.0, size=16)
    passes = camera_splits(cameras, ViewSplit((0, 1, 2), ()))
    assert passes == [ViewSplit((1, 2), (0,)), ViewSplit((0, 2), (1,)), ViewSplit((0, 1), (2,))]
    assert camera_splits(cameras[:1], ViewSplit((0,), ())) == []


def test_the_first_view_of_a_model_of_views_is_never_left_out():
    cameras = facelift_ring(6, 0.0, size=16)
    usual = SlotViews(()).evaluate(cameras)
    assert camera_splits(cameras, usual, fixed=True) == [ViewSplit((0,), (1, 2, 3, 4, 5))]


@pytest.fixture(scope="module")
def samples():
    drawn = [render_sample("mice", index, num_views=6) for index in range(4)]
    labels = [("monday", "A"), ("monday", "B"), ("tuesday", "A"), ("monday", "B")]
    return [
        replace(conform(sample, CONTRACT), session=session, animal=animal)
        for sample, (session, animal) in zip(drawn, labels, strict=True)
    ]


@pytest.fixture(scope="module")
def data(samples):
    policy = Fixed(FixedConfig(inputs=(0, 2, 3), held_out=(1, 5)))
    return OpenData(PreparedDataset(samples), Split((0,), (1, 2, 3)), policy, CONTRACT)


@pytest.fixture(scope="module")
def config():
    return load_config("quickstart", overrides=["train.backend=cpu"]).config


def test_the_scores_of_each_camera_by_hand(samples, data, config):
    base, told = Nothing(CONTRACT), []
    found = evaluate(base, NoAdapter(), data, backend="cpu")
    base.seen.clear()
    apart = leave_one_out(
        "camera", base, NoAdapter(), data, config, found, lambda *counts: told.append(counts)
    )
    assert [one.name for one in apart.groups] == [f"cam_{k:03d}" for k in range(6)]
    for view, group in enumerate(apart.groups):
        expected = np.mean([psnr_of_white(sample, [view])[0] for sample in samples[1:]])
        assert group.rows["adapted"].psnr_db == pytest.approx(expected, abs=1e-3)
        assert group.rows["frozen base"] == group.rows["adapted"]
        assert group.scenes == 3
        assert group.seen == (view not in {1, 5})
    # Four passes a scene, each for the frozen base and the adapted one, always from three views.
    assert base.seen == [3] * (3 * 4 * 2)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_limit_holds_for_cameras_too(data, config):
    few = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"samples": 1})})
    base = Nothing(CONTRACT)
    found = evaluate(base, NoAdapter(), data, backend="cpu", limit=1)
    apart = leave_one_out("camera", base, NoAdapter(), data, few, found)
    assert {one.scenes for one in apart.groups} == {1}


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("session", [("monday", True, (1, 3)), ("tuesday", False, (2,))]),
        ("animal", [("B", False, (1, 3)), ("A", True, (2,))]),
    ],
)
def test_scenes_by_their_label(samples, data, config, kind, groups):
    base = Nothing(CONTRACT)
    found = evaluate(base, NoAdapter(), data, backend="cpu")
    base.seen.clear()
    apart = leave_one_out(kind, base, NoAdapter(), data, config, found)
    assert base.seen == []  # the scores are there already
    for group, (name, seen, members) in zip(apart.groups, groups, strict=True):
        assert (group.name, group.seen, group.scenes) == (name, seen, len(members))
        expected = np.mean([np.mean(psnr_of_white(samples[k], (1, 5))) for k in members])
        assert group.rows["adapted"].psnr_db == pytest.approx(expected, abs=1e-3)
    text = apart.table()
    assert f"training saw this {kind}" in text
    assert f"--set data.split.by={kind} --set data.split.leave_out=[NAME]" in text


def test_scenes_without_a_label_are_named(samples, data, config):
    bare = [replace(sample, session="") for sample in samples]
    other = replace(data, samples=PreparedDataset(bare))
    found = evaluate(Nothing(CONTRACT), NoAdapter(), other, backend="cpu")
    with pytest.raises(DataError, match="expected the name of its session, got none"):
        leave_one_out("session", Nothing(CONTRACT), NoAdapter(), other, config, found)


def test_the_table_names_the_least_gain():
    def group(name, seen, *gains):
        frozen = {str(k): Scores(10.0, 10.0, 0.5, 0.5) for k in range(len(gains))}
        adapted = {str(k): Scores(10.0, 10.0 + one, 0.5, 0.5) for k, one in enumerate(gains)}
        return Group(name, seen, {"frozen base": frozen, "adapted": adapted})

    rats = (1.0, 3.0, 1.0, 3.0, 1.0, 3.0)
    apart = LeaveOneOut("animal", (group("rat", False, *rats), group("vole", False, 0.5)), 3)
    lines = apart.table().splitlines()
    low, high = apart.groups[0].interval_db
    assert 1.0 <= low < 2.0 < high <= 3.0
    assert lines[2].split() == [
        *("rat", "6", "10.00", "dB", "12.00", "dB", "+2.00", "dB"),
        *(f"[{low:+.2f},", f"{high:+.2f}]"),
    ]
    assert lines[3].endswith("+0.50 dB")  # one scene has no interval
    assert lines[4] == "least gain: +0.50 dB, animal vole"
    assert lines[5] == "1 of 2 with fewer than 6 scenes: too few to decide, and no interval"
    assert lines[6] == "this is no leave-one-out: one training, which saw none of 2 animals scored"
    assert lines[7].endswith("mfl-adapt compare RUN RUN ... --leave-one animal")
    written = apart.to_json()
    assert written["by"] == "animal"
    assert written["groups"][0]["gain_interval_db"] == [low, high]
    assert written["groups"][1]["gain_interval_db"] is None
    per_scene = {**apart.groups[0].per_scene, "white": apart.groups[0].per_scene["frozen base"]}
    whole = Evaluation(2, 4, True, average(per_scene), per_scene, left_out=apart)
    assert whole.to_json()["leave_one_out"] == written
    assert "one animal at a time" in whole.table()


def test_one_group_alone_has_no_least_and_nothing_to_leave_out():
    one = {"a": Scores(10.0, 10.0, 0.5, 0.5)}
    group = Group("monday", True, {"frozen base": one, "adapted": one})
    text = LeaveOneOut("session", (group,), 1).table()
    assert "least gain" not in text
    assert "this is no leave-one-out: one training, which saw 1 of 1 session scored" in text
    assert "the data have one session alone" in text
    assert "leave_out=" not in text


def test_few_scenes_have_no_interval():
    few = {str(k): Scores(10.0, 10.0 + k, 0.5, 0.5) for k in range(5)}
    assert Group("a", False, {"frozen base": few, "adapted": few}).interval_db is None
    more = few | {"5": Scores(10.0, 15.0, 0.5, 0.5)}
    assert Group("a", False, {"frozen base": more, "adapted": more}).interval_db == (0.0, 0.0)


def test_what_was_trained_and_scored_on_is_written_down(samples, data):
    found = evaluate(Nothing(CONTRACT), NoAdapter(), data, backend="cpu").to_json()["groups"]
    assert found["session"] == {"trained": ["monday"], "scored": ["monday", "tuesday"]}
    assert found["animal"] == {"trained": ["A"], "scored": ["A", "B"]}
    assert found["camera"] == {
        "trained": [f"cam_{k:03d}" for k in (0, 2, 3, 4)],
        "scored": ["cam_001", "cam_005"],
    }
    bare = [replace(sample, session="") for sample in samples]
    other = replace(data, samples=PreparedDataset(bare))
    found = evaluate(Nothing(CONTRACT), NoAdapter(), other, backend="cpu").groups
    assert sorted(found) == ["animal", "camera"]
