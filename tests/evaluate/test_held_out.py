"""Input views and held-out views are scored apart, and scenes weigh the same."""

import math

import numpy as np
import pytest
from mfl_adapt_view_policies.config import FixedConfig, HeldOutConfig
from mfl_adapt_view_policies.fixed import Fixed
from mfl_adapt_view_policies.held_out import HeldOut
from white_base import NoAdapter, Nothing, psnr_of_white

from mfl_adapt.data import PreparedDataset, Split, conform
from mfl_adapt.evaluate import Evaluation, Scores, evaluate
from mfl_adapt.evaluate.scores import average, find_intervals
from mfl_adapt.images import digest_views
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.pipeline import OpenData
from mfl_adapt.synth import render_sample

CONTRACT = TINY.contract()


@pytest.fixture(scope="module")
def samples():
    drawn = [render_sample("mice", index, num_views=views) for index, views in enumerate((6, 6, 8))]
    return [conform(sample, CONTRACT) for sample in drawn]


def open_data(samples, policy):
    return OpenData(PreparedDataset(samples), Split((0,), (1, 2)), policy, CONTRACT)


def test_input_views_and_held_out_views_by_hand(samples):
    policy = Fixed(FixedConfig(inputs=(0, 2, 3), held_out=(1, 5)))
    found = evaluate(Nothing(CONTRACT), NoAdapter(), open_data(samples, policy), backend="cpu")
    assert (found.views, found.input_views, found.scenes) == (4, 6, 2)
    for rows, views in ((found.rows, (1, 5)), (found.input_rows, (0, 2, 3))):
        assert list(rows) == ["white", "mean colour", "frozen base", "adapted"]
        expected = np.mean([psnr_of_white(sample, views) for sample in samples[1:]])
        for name in ("white", "frozen base", "adapted"):
            assert rows[name].psnr_db == pytest.approx(expected, abs=1e-3)
        assert (rows["white"].iou, rows["adapted"].iou) == (None, 0.0)
    assert found.rows["white"].psnr_db != found.input_rows["white"].psnr_db
    text = found.table()
    assert text.index("4 held-out views of 2 held-out scenes") < text.index("6 input views")


def test_a_scene_with_more_views_weighs_no_more(samples):
    policy = HeldOut(HeldOutConfig(inputs=2, held_out=0.5))  # 3 of 6 views, 4 of 8
    data = open_data(samples, policy)
    found = evaluate(Nothing(CONTRACT), NoAdapter(), data, backend="cpu")
    assert found.views == 7
    scenes = [
        np.mean(psnr_of_white(sample, policy.evaluate(sample.cameras).targets))
        for sample in samples[1:]
    ]
    assert found.rows["adapted"].psnr_db == pytest.approx(np.mean(scenes), abs=1e-3)
    by_scene = found.per_scene["adapted"]
    assert [one.psnr_db for one in by_scene.values()] == pytest.approx(scenes, abs=1e-3)
    # Two scenes: the interval reaches from the worse to the better one, and the gain is nothing.
    ends = found.intervals["adapted"]["psnr_db"]
    assert ends == pytest.approx((min(scenes), max(scenes)), abs=1e-3)
    assert found.intervals["gain"]["psnr_db"] == (0.0, 0.0)


def test_digests_are_those_of_the_held_out_pictures(samples):
    policy = Fixed(FixedConfig(inputs=(0,), held_out=(1, 5)))
    found = evaluate(Nothing(CONTRACT), NoAdapter(), open_data(samples, policy), backend="cpu")
    views = [samples[1].views[1], samples[1].views[5]]
    assert found.digests[samples[1].id] == digest_views(views)
    assert list(found.digests) == [samples[1].id, samples[2].id]


def scores(value, iou=None):
    return Scores(value, value + 1, 0.5, iou)


def test_means_over_scenes_and_the_gain_by_hand():
    per_scene = {
        "frozen base": {"a": scores(10.0, 0.5), "b": scores(20.0, 0.7)},
        "adapted": {"a": scores(13.0, 0.6), "b": scores(21.0, 0.6)},
    }
    rows = average(per_scene)
    assert rows["adapted"] == Scores(17.0, 18.0, 0.5, pytest.approx(0.6))
    found = find_intervals(per_scene)
    assert found["frozen base"]["psnr_db"] == (10.0, 20.0)
    assert found["gain"]["foreground_psnr_db"] == (1.0, 3.0)
    assert found["gain"]["iou"] == pytest.approx((-0.1, 0.1))
    assert "iou" not in find_intervals({"white": {"a": scores(1.0), "b": scores(2.0)}})["white"]
    assert find_intervals({}) == {}


def test_a_scene_without_foreground_is_left_out_and_no_nan_is_written():
    empty = Scores(12.0, math.nan, math.nan, None)
    per_scene = {
        name: {"a": scores(value), "b": empty} for name, value in (("white", 3.0), ("adapted", 5.0))
    }
    per_scene["frozen base"] = {"a": scores(4.0), "b": empty}
    rows = average(per_scene)
    assert rows["adapted"].foreground_psnr_db == 6.0
    found = Evaluation(2, 4, True, rows, per_scene)
    written = found.to_json()
    assert written["per_scene"]["adapted"]["b"]["foreground_psnr_db"] is None
    assert written["gain_over_base_foreground_db"] == 1.0
    nothing = Evaluation(1, 2, True, average({n: {"b": empty} for n in per_scene}), {})
    assert nothing.to_json()["gain_over_base_foreground_db"] is None


def test_the_verdict_says_when_scenes_are_few():
    rows = {name: scores(10.0) for name in ("white", "mean colour", "frozen base", "adapted")}
    intervals = {"gain": {"foreground_psnr_db": (-0.25, 0.5)}}
    few, enough = (
        Evaluation(count, 4, True, rows, {}, intervals=intervals).verdict() for count in (5, 6)
    )
    assert "+0.00 dB [-0.25, +0.50] foreground over the frozen base" in few
    assert "from 5 scenes, too few to decide" in few
    assert "too few" not in enough
