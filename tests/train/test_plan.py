"""Planned memory: counted as the real network takes it, and chosen so that it fits."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from mfl_adapt.adapter import attach
from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.errors import DataError, RangeError, TrainingError
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.models.gslrm.frozen import load_shipped, outline_gslrm
from mfl_adapt.plugin import AdapterSpec, BaseSpec, LossSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.render import render
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.memory import PeakMemory, parse_size, show_size
from mfl_adapt.train.planning import plan as planning
from mfl_adapt.train.planning.calibrate import (
    AllLinear,
    Calibration,
    Trial,
    _squared,
    _views,
)
from mfl_adapt.train.planning.counted import Counted, Term, count_step
from mfl_adapt.train.planning.counter import LiveMemory
from mfl_adapt.train.planning.estimate import Sketch
from mfl_adapt.train.planning.grid import count_all
from mfl_adapt.train.planning.record import Row
from mfl_adapt.train.planning.setting import Setting
from mfl_adapt.train.planning.stand_ins import draw_like_cpu

SMALL = Setting(views=2, targets=2, size=32, precision="fp32")
SQUARED = [Term("squared error", 1.0, _squared)]


@pytest.fixture(scope="module")
def sketch():
    """The tiny base with LoRA on all linear layers, without weights."""
    return Sketch(outline_gslrm(TINY, id="tiny"), AllLinear(), SQUARED, device="cpu", ema=False)


def count_real(setting, method=None, draw=draw_like_cpu):
    """Count the same step on a network with weights and pictures with content."""
    base = load_shipped("facelift_tiny", id="tiny")
    adapter = attach(base, method or AllLinear(), seed=0)
    module = base.module.train()
    with fast_training(adapter, checkpointing=setting.checkpointing):
        if module.prefix is not None:
            module.prefix = None
        views = [_views(setting, count) for count in (setting.views, setting.targets)]
        return count_step(module, *views, draw, SQUARED, base.contract, setting.precision)


@pytest.mark.parametrize(
    ("precision", "checkpointing"), [("fp32", False), ("bf16", False), ("bf16", True)]
)
def test_what_is_saved_is_what_the_real_network_saves(sketch, precision, checkpointing):
    setting = replace(SMALL, precision=precision, checkpointing=checkpointing)
    real = count_real(setting)
    assert sketch.count_blocks(setting) == real
    assert 0 < real.saved < real.network < real.drawn <= real.compared <= real.peak


@pytest.mark.slow
def test_the_way_of_many_tokens_on_a_cpu_is_counted_too(sketch):
    # 1026 tokens: attention keeps its weights, 3 heads of [1026, 1026] in each of 6 blocks.
    setting = Setting(views=4, targets=1, size=128, precision="fp32")
    real = count_real(setting)
    assert sketch.count_blocks(setting) == real
    assert real.saved > 6 * 3 * 1026**2 * 4


def test_the_rasterizer_that_stands_in_saves_what_the_real_one_saves():
    def draw(gaussians, cameras, background):
        return render(gaussians, cameras, background=background, backend="cpu", depth=False)

    def saved(drawer):
        memory = LiveMemory()
        base = load_shipped("facelift_tiny", id="tiny")
        views = _views(SMALL, 2)
        gaussians = base.reconstruct(views.rgb, views.cameras)
        for one in (gaussians.means, gaussians.sh):
            one.requires_grad_()
        with memory, memory.saving():
            drawn = drawer(gaussians, views.cameras, 1.0)
        assert drawn.rgb.shape == (1, 2, 3, 32, 32)
        assert drawn.alpha.shape == (1, 2, 1, 32, 32)
        return memory.saved

    # The real one also keeps what its background and the inverse of the cameras need.
    assert saved(draw_like_cpu) == pytest.approx(saved(draw), rel=0.02)


@pytest.mark.parametrize(
    ("device", "first", "checkpointing"), [("cpu", 0, False), ("cuda", 3, True)]
)
def test_blocks_that_are_alike_are_counted_once(device, first, checkpointing):
    method = AllLinear()
    method.peft_config = only([f"transformer_layers.{index}." for index in range(first, 6)])
    sketch = Sketch(outline_gslrm(TINY, id="tiny"), method, SQUARED, device=device, ema=False)
    setting = replace(SMALL, checkpointing=checkpointing)
    assert sketch.count(setting) == sketch.count_blocks(setting)


def only(names):
    whole = AllLinear().peft_config

    def config(module):
        made = whole(module)
        made.target_modules = {one for one in made.target_modules if one.startswith(tuple(names))}
        return made

    return config


def test_frozen_blocks_before_the_adapter_save_nothing():
    method = AllLinear()
    method.peft_config = only(["transformer_layers.5."])
    last = Sketch(outline_gslrm(TINY, id="tiny"), method, SQUARED, device="cuda", ema=False)
    every = Sketch(outline_gslrm(TINY, id="tiny"), AllLinear(), SQUARED, device="cuda", ema=False)
    assert last.count(SMALL).saved < every.count(SMALL).saved / 4
    assert last.fixed.adapter * 6 == every.fixed.adapter


def test_more_of_anything_takes_more_and_checkpointing_takes_less(sketch):
    def peak(**changes):
        return sketch.count_blocks(replace(SMALL, **changes)).peak

    least = peak()
    assert least < peak(views=3) < peak(views=4)
    assert least < peak(size=48)
    assert least < peak(at_once=2)
    assert least < peak(targets=6)
    assert peak(checkpointing=True) < least
    assert peak(precision="bf16") < least


def test_corners_of_a_grid_tell_the_rest():
    base = outline_gslrm(TINY, id="tiny")
    sketch = Sketch(base, AllLinear(), SQUARED, device="cuda", ema=False)
    settings = [Setting(views, 4, size) for views in (2, 4) for size in (64, 96, 128)]
    asked = []

    def count(setting):
        asked.append(setting)
        return sketch.count_blocks(setting)

    found = count_all(settings, count, linear=True)
    assert list(found) == settings
    assert len(asked) == 3
    between = settings[1]
    assert between not in asked
    direct = sketch.count_blocks(between)
    assert found[between].saved == pytest.approx(direct.saved, rel=1e-3)
    assert found[between].peak == pytest.approx(direct.peak, rel=0.02)


def test_without_a_law_every_setting_is_counted():
    settings = [replace(SMALL, size=size) for size in (16, 24, 32)]
    counts = {one: Counted(0, 0, 0, 0, one.size**3) for one in settings}
    assert count_all(settings, counts.__getitem__, linear=False) == counts


def test_memory_that_is_alive_is_counted_and_goes_again():
    memory, known = LiveMemory(), torch.zeros(1000)
    memory = LiveMemory(known=[known])
    with memory:
        first = torch.zeros(1000)
        second = first.view(10, 100) + known.view(10, 100)
        assert memory.live == 8000
        del second
        assert memory.live == 4000
        known.add_(1)
    assert (memory.live, memory.peak, memory.saved) == (4000, 8000, 0)


def test_saved_storages_count_once():
    weight = nn.Parameter(torch.ones(100))
    memory = LiveMemory(known=[weight])
    with memory, memory.saving():
        squared = weight * weight
        total = (squared.exp() * squared).sum()
    # Both factors of the product, one of which the exponential saved already; not the weight.
    assert memory.saved == 800
    total.backward()
    assert weight.grad is not None


def test_a_loss_that_reads_values_is_named(sketch):
    def picky(pred, target, mask, context):
        return pred.mean(dim=(2, 3, 4)) * (2.0 if float(mask.sum()) > 1 else 1.0)

    assert not sketch.can_count(Term("picky", 1.0, picky))
    assert sketch.can_count(SQUARED[0])
    assert sketch.terms == SQUARED


def test_a_base_of_views_is_refused():
    with pytest.raises(TrainingError, match=r"facelift\.tiny_views, whose views and resolution"):
        make("views-quickstart", "1GB")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("12GB", 12 * 10**9),
        ("12GiB", 12 * 2**30),
        ("800MB", 800 * 10**6),
        (" 1.5 GB ", 15 * 10**8),
        ("2KiB", 2048),
    ],
)
def test_sizes(text, size):
    assert parse_size(text, "--memory") == size


@pytest.mark.parametrize("text", ["12", "12gb", "0GB", "-1GB", "1e3GB", "GB", "12 G", "", "nanGB"])
def test_sizes_that_are_none(text):
    with pytest.raises(RangeError, match=r"--memory: expected a size above 0 such as 12GB.*got"):
        parse_size(text, "--memory")


@pytest.mark.parametrize(
    ("size", "text"),
    [(12e9, "12.0 GB"), (1.234e9, "1.23 GB"), (345.6e6, "346 MB"), (9876, "10 kB")],
)
def test_sizes_are_shown_with_three_digits(size, text):
    assert show_size(size) == text


def test_growth_of_the_process_is_seen():
    with PeakMemory(torch.device("cpu")) as memory:
        block = torch.ones(50_000_000)
        del block
    assert memory.growth > 150_000_000
    assert memory.peak >= memory.before
    assert not memory.on_device


def row(setting, size):
    return Row(setting, Counted(0, 0, 0, 0, size), size)


def test_the_most_pixels_that_fit_without_checkpointing_if_possible():
    rows = [
        row(Setting(6, 6, 64, 1, False, "bf16"), 900),
        row(Setting(6, 6, 64, 1, True, "bf16"), 300),
        row(Setting(4, 6, 64, 1, False, "bf16"), 500),
        row(Setting(6, 6, 64, 1, True, "fp32"), 200),
    ]
    assert planning.choose(rows, 1000, "bf16") is rows[0]
    assert planning.choose(rows, 600, "bf16") is rows[1]
    assert planning.choose(rows, 250, "bf16") is None


def test_as_many_samples_at_a_time_as_fit():
    def estimate(setting):
        return row(setting, 100 * setting.at_once)

    one = estimate(SMALL)
    at_once = [
        planning.more_at_once(one, memory, 6, estimate).setting.at_once
        for memory in (1000, 599, 399, 299, 199)
    ]
    assert at_once == [6, 3, 3, 2, 1]


def make(source, memory, *overrides, cameras=8, device="cuda"):
    loaded = load_config(source, overrides=list(overrides))
    host = load_plugins(loaded.config.plugins)
    return planning.make_plan(
        claim_slots(loaded, host),
        host,
        memory=parse_size(memory, "--memory"),
        device=device,
        cameras=cameras,
    )


@pytest.fixture(scope="module")
def plan():
    """A plan for the tiny base; its calibration takes no time: a factor of 1.5, and 10 bytes."""
    trials = (Trial(SMALL, 100, 160), Trial(SMALL, 300, 460))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "calibrate", lambda: Calibration(trials))
        return make("quickstart", "900MB")


def test_a_plan_for_the_tiny_base(plan):
    found = plan.to_json()
    assert found["label"] == "estimated (not checked on CUDA)"
    assert found["calibration"]["ratio"] == 1.5
    assert found["calibration"]["once"] == 10
    assert {one["size"] for one in found["settings"]} == {64, 48, 32, 16}
    # Two of eight cameras are held out, so that six are left to be drawn.
    assert {one["views"] for one in found["settings"]} == {4, 5, 6}
    assert {one["targets"] for one in found["settings"]} == {6}
    always = 600 * 10**6 + plan.fixed.total + 10
    assert all(one.bytes == round(always + 1.5 * one.counted.peak) for one in plan.rows)
    chosen = found["recommended"]
    assert (chosen["views"], chosen["size"], chosen["checkpointing"]) == (6, 64, False)
    assert "data.views.inputs=6" in found["set"]
    assert "recommended: 6 views of 64 px, bf16, without checkpointing" in plan.to_text()
    json.dumps(found)


def test_recommended_settings_are_a_configuration(plan):
    setting = Setting(5, 6, 48, 1, checkpointing=True, precision="fp32")
    less = replace(plan, chosen=row(setting, 640 * 10**6))
    config = load_config("quickstart", overrides=less.flags).config
    assert config.data.views.settings["inputs"] == 5
    assert (config.data.size, config.train.precision) == (48, "fp32")
    assert (config.train.checkpointing, config.train.micro_batch) == (True, 1)
    assert "a batch of 2 is computed 1 at a time" in less.to_text()


def test_nothing_fits(plan):
    none = replace(plan, memory=10**8, chosen=planning.choose(plan.rows, 10**8, "bf16"))
    assert none.chosen is None
    assert none.flags == []
    last = none.to_text().splitlines()[-1]
    assert last.startswith("nothing fits into 100 MB: the least is")
    assert "4 views of 16 px, bf16, with checkpointing" in last


def test_too_few_cameras_are_named():
    with pytest.raises(DataError, match=r"plan: .* Say how many cameras there are"):
        make("quickstart", "1GB", cameras=2)


def test_the_full_size_needs_no_weights_and_no_memory():
    host = load_plugins(["facelift", "lora_gslrm", "masked_loss"])
    base = host.outline("facelift.gslrm", {}, where="base")
    assert next(base.module.parameters()).is_meta
    assert host.component(BaseSpec, "facelift.mvdiffusion").spec.outline is None
    method = host.build(AdapterSpec, "lora_gslrm.lora", {"r": 16})
    terms = [Term("masked_loss.masked_l2", 1.0, host.build(LossSpec, "masked_loss.masked_l2"))]
    with PeakMemory(torch.device("cpu")) as memory:
        sketch = Sketch(base, method, terms, device="cuda", ema=True)
        counted = sketch.count(Setting(6, 8, 512))
    # By the table of the state dict; 32 VGG-19 tensors are not part of the network.
    assert sketch.fixed.weights == 4 * (303_513_600 + 52_224)
    # A, B of rank 16 on the four linear maps of 24 blocks of width 1024.
    numbers = 24 * 16 * 1024 * ((1 + 3) + (1 + 1) + (1 + 4) + (4 + 1))
    assert sketch.fixed.adapter == 4 * numbers
    assert sketch.fixed.moments == 3 * 4 * numbers
    # The stream of 24,578 tokens in float32 alone, twice a block.
    assert counted.saved > 24 * 2 * 24_578 * 1024 * 4
    assert memory.growth < 10**9


def test_calibration_takes_the_slope():
    trials = (Trial(SMALL, 100, 250), Trial(SMALL, 300, 500))
    assert Calibration(trials).ratio == 1.25
    assert Calibration(trials).once == 125
    assert Calibration((Trial(SMALL, 100, 150), Trial(SMALL, 300, 250))).ratio == 1.0


@pytest.mark.slow
def test_a_fresh_process_grows_by_what_was_counted():
    code = """
import json
from mfl_adapt.train.planning.calibrate import calibrate
found = calibrate()
print(json.dumps([[one.counted, one.measured] for one in found.trials] + [found.ratio]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *trials, ratio = json.loads(done.stdout)
    assert [counted for counted, _ in trials] == sorted(counted for counted, _ in trials)
    assert all(measured == pytest.approx(counted, rel=0.35) for counted, measured in trials)
    assert 1 <= ratio < 1.35
