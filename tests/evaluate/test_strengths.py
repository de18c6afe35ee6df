"""Gain by strength, on a model whose pictures are known at every strength."""

import math
from types import SimpleNamespace

import pytest
from mfl_adapt_view_policies.config import FixedConfig
from mfl_adapt_view_policies.fixed import Fixed
from torch import nn

from mfl_adapt.config import load_config
from mfl_adapt.data import PreparedDataset, Split, conform
from mfl_adapt.errors import AdapterError, RangeError
from mfl_adapt.evaluate import strengths
from mfl_adapt.evaluate.held_out import Pair, Prediction
from mfl_adapt.evaluate.stored_run import OpenedRun
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.pipeline import OpenData
from mfl_adapt.synth import render_sample

CONTRACT = TINY.contract()


@pytest.fixture(scope="module")
def data():
    drawn = [render_sample("mice", index, num_views=4) for index in range(3)]
    samples = PreparedDataset([conform(one, CONTRACT) for one in drawn])
    policy = Fixed(FixedConfig(inputs=(0, 1), held_out=(2, 3)))
    return OpenData(samples, Split((0,), (1, 2)), policy, CONTRACT)


class Dial:
    """An adapter that is nothing but its strength."""

    def __init__(self, known=None):
        self._strength, self.known = 1.0, known

    @property
    def strength(self):
        return self._strength

    @strength.setter
    def strength(self, value):
        if self.known is not None and value not in self.known:
            raise AdapterError("adapter.strength: expected 0 or 1")
        self._strength = value


def open_dial(data, adapter, *overrides):
    config = load_config("quickstart", overrides=list(overrides)).config
    base = SimpleNamespace(module=nn.Linear(1, 1))
    return OpenedRun(config, None, base, adapter, data)


def fading(adapter):
    """White at strength 0, the photograph at strength 1, and half-way between in between."""

    def make(sample, batch):
        truth, share = batch.targets.rgb, adapter.strength
        return Pair(Prediction(share * truth + (1 - share), None), None)

    return make


def test_the_gain_is_that_of_the_pictures(data):
    adapter = Dial()
    said = []
    curve = strengths.score_strengths(
        open_dial(data, adapter),
        data.evaluation,
        data,
        fading(adapter),
        (0.0, 0.5, 0.75),
        lambda *counts: said.append(counts),
    )
    found = strengths.curve_to_json(curve)
    assert (found["scenes"], said, adapter.strength) == (2, [(1, 2), (2, 2)], 1.0)
    none, half, most = found["points"]
    assert (none["change_db"], none["change_interval_db"]) == (0.0, None)
    # An error of half the size is a quarter of the squared error, in every scene alike.
    for point, share in ((half, 0.5), (most, 0.75)):
        gain = -20 * math.log10(1 - share)
        assert point["change_db"] == pytest.approx(gain, abs=1e-4)
        assert point["change_interval_db"] is None  # from two scenes
        level = none["foreground_psnr_db"] + gain
        assert point["foreground_psnr_db"] == pytest.approx(level, abs=1e-4)


def test_six_scenes_have_an_interval_of_their_change():
    found = strengths.curve_to_json({0.0: [10.0] * 6, 1.0: [12.0] * 6})
    assert found["points"][1]["change_interval_db"] == pytest.approx([2.0, 2.0])


def test_a_scene_without_foreground_does_not_count():
    found = strengths.curve_to_json({0.0: [10.0, math.nan], 1.0: [12.0, math.nan]})
    assert found["points"][1]["change_db"] == 2.0
    assert found["points"][1]["change_interval_db"] is None
    nothing = strengths.curve_to_json({0.0: [math.nan]})
    assert nothing["points"][0]["foreground_psnr_db"] is None


def test_few_scenes_and_what_is_turned_off(data, monkeypatch):
    adapter = Dial()
    monkeypatch.setattr(strengths, "build_maker", lambda *_: fading(adapter))
    run = open_dial(data, adapter, "evaluate.retention=0")
    found = strengths.measure_strengths(run, strengths.read_asked("0.5", 1))
    assert [one["strength"] for one in found["held_out"]["points"]] == [0.0, 0.5]
    assert (found["held_out"]["scenes"], found["held_out"]["unseen"]) == (1, True)
    assert found["home"] == {"not_measured": "evaluate.retention is 0"}


def test_a_method_that_knows_only_on_and_off(data, monkeypatch):
    adapter = Dial(known={0.0, 1.0})
    monkeypatch.setattr(strengths, "build_maker", lambda *_: fading(adapter))
    run = open_dial(data, adapter, "evaluate.retention=0")
    found = strengths.measure_strengths(run, strengths.read_asked(None, None))
    assert [one["strength"] for one in found["held_out"]["points"]] == [0.0, 1.0]
    assert "only the strengths 0 and 1" in found["note"]
    with pytest.raises(AdapterError, match="expected 0 or 1"):
        strengths.measure_strengths(run, strengths.read_asked("0.5", None))
    assert adapter.strength == 1.0


def test_strengths_as_typed():
    assert strengths.read_strengths("1, 0.5,1") == (0.0, 0.5, 1.0)


@pytest.mark.parametrize("text", ["", "a", "-1", "nan", "5", "0,inf", ",".join(["1"] * 3 + ["x"])])
def test_what_is_no_strength(text):
    with pytest.raises(RangeError, match="--strengths: expected at most 21 numbers from 0 to 4"):
        strengths.read_strengths(text)


def test_too_many_strengths():
    with pytest.raises(RangeError, match="at most 21"):
        strengths.read_strengths(",".join(str(one / 10) for one in range(30)))
