"""Evaluation of a model of views: what stands beside it, and that it repeats itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mfl_adapt_lora_mvdiffusion.config import LoraConfig
from mfl_adapt_lora_mvdiffusion.lora import Lora

from mfl_adapt import adapter as adapters
from mfl_adapt.data import PreparedDataset, SlotViews, Split, conform
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate import Evaluation, Scores
from mfl_adapt.evaluate.views import Sampling, evaluate_views, make_views, reference_picture
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.pipeline import OpenData
from mfl_adapt.synth import render_sample

SAMPLING = Sampling(steps=2, guidance=2.0, seed=7)


@pytest.fixture(scope="module")
def base():
    return FrozenMVDiffusion(build_fresh(seed=3), id="facelift.mvdiffusion")


@pytest.fixture(scope="module")
def adapter(base):
    return adapters.attach(base, Lora(LoraConfig(r=2)), seed=0)


@pytest.fixture(scope="module")
def data(base):
    samples = [render_sample("mice", k, "train", rig="slots", size=64) for k in range(3)]
    prepared = PreparedDataset(conform(sample, base.contract) for sample in samples)
    policy = SlotViews(base.contract.slots_deg)
    return OpenData(prepared, Split((0,), (1, 2)), policy, base.contract)


def test_rows_by_hand(base, adapter, data):
    found = evaluate_views(base, adapter, data, SAMPLING)
    assert (found.scenes, found.views, found.scenes_held_out) == (2, 10, True)
    assert found.baselines == ("white", "mean colour", "copy of the input")
    assert found.rows["adapted"] == found.rows["frozen base"]  # a fresh adapter changes nothing
    copied, white = [], []
    for sample in data.samples.pick((1, 2)):
        pictures = []
        for view in sample.views:
            alpha = view.mask[..., None] / 255
            pictures.append(view.rgb / 255 * alpha + 1 - alpha)
        for picture in pictures[1:]:
            copied.append(-10 * np.log10(np.mean((pictures[0] - picture) ** 2)))
            white.append(-10 * np.log10(np.mean((1 - picture) ** 2)))
    assert found.rows["copy of the input"].psnr_db == pytest.approx(np.mean(copied), abs=1e-3)
    assert found.rows["white"].psnr_db == pytest.approx(np.mean(white), abs=1e-3)


def test_the_mean_colour_is_that_of_all_training_views(base, adapter, data):
    found = evaluate_views(base, adapter, data, SAMPLING, limit=1)
    pictures = []
    for view in data.samples[0].views:
        alpha = view.mask[..., None] / 255
        pictures.append(view.rgb / 255 * alpha + 1 - alpha)
    colour = np.mean(pictures, axis=(0, 1, 2))
    errors = []
    for view in data.samples[1].views[1:]:
        alpha = view.mask[..., None] / 255
        errors.append(np.mean((colour - view.rgb / 255 * alpha - 1 + alpha) ** 2))
    expected = np.mean(-10 * np.log10(errors))
    assert found.rows["mean colour"].psnr_db == pytest.approx(expected, abs=1e-3)


def test_it_repeats_itself_and_a_sample_does_not_depend_on_others(base, adapter, data):
    both = evaluate_views(base, adapter, data, SAMPLING)
    assert evaluate_views(base, adapter, data, SAMPLING) == both
    turned = replace(data, split=Split((0,), (2, 1)))
    other = evaluate_views(base, adapter, turned, SAMPLING)
    assert other.per_scene["adapted"] == pytest.approx(both.per_scene["adapted"])


def test_another_seed_makes_other_views(base, data):
    sample = data.samples[1]
    first = make_views(base, sample, 1.0, SAMPLING)
    assert torch.equal(make_views(base, sample, 1.0, SAMPLING), first)
    assert not torch.equal(make_views(base, sample, 1.0, SAMPLING._replace(seed=8)), first)


def test_only_the_first_picture_is_looked_at(base, data):
    sample = data.samples[1]
    blank = tuple(replace(one, rgb=np.zeros_like(one.rgb)) for one in sample.views[1:])
    other = replace(sample, views=(sample.views[0], *blank))
    first = make_views(base, sample, 1.0, SAMPLING)
    assert torch.equal(make_views(base, other, 1.0, SAMPLING), first)


def test_the_reference_is_rounded_over_the_background(data):
    view = data.samples[1].views[0]
    picture = reference_picture(data.samples[1], 1.0)
    alpha = view.mask[..., None] / 255
    expected = np.rint(255 * (view.rgb / 255 * alpha + 1 - alpha))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, expected)


def test_training_scenes_are_no_evidence(base, adapter, data):
    alone = replace(data, split=Split((0, 1, 2), (), views_only=True))
    with pytest.raises(DataError, match="expected samples kept for validation, got none"):
        evaluate_views(base, adapter, alone, SAMPLING)


def test_verdict_compares_with_the_best_picture_without_a_model():
    def scores(value):
        return Scores(value, value, 0.5, None)

    rows = {
        "white": scores(10.0),
        "mean colour": scores(11.0),
        "copy of the input": scores(14.0),
        "frozen base": scores(12.0),
        "adapted": scores(17.0),
    }
    found = Evaluation(1, 5, True, rows, {})
    assert found.over_baselines_db == 3.0
    assert found.verdict() == (
        "adapter: +5.00 dB foreground over the frozen base, +3.00 dB full frame over the best "
        "picture without a model"
    )
    lines = found.table().splitlines()
    assert len({line.index(" dB") for line in lines[2:]}) == 1
    del rows["copy of the input"]
    assert "+6.00 dB full frame over the better constant picture" in found.verdict()
