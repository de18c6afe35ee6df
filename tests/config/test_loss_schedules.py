"""When a loss term counts: by hand, at its edges, and what can never work."""

import pytest

from mfl_adapt.config import LossSchedule, load_config, validate_components
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin.registry import load_plugins

L2, SSIM = "losses.masked_loss.masked_l2", "losses.masked_loss.masked_ssim"


def load(*overrides):
    base = ["plugins=[masked_loss]", f"{L2}.weight=1", "train.steps=100"]
    loaded = load_config("base", overrides=[*base, *overrides])
    validate_components(loaded, load_plugins(loaded.config.plugins))
    return loaded.config.losses


def factors(**settings):
    schedule = LossSchedule(**settings)
    return [schedule.factor(step) for step in range(8)]


def test_factors_by_hand():
    assert factors() == [1.0] * 8
    assert factors(start=3) == [0, 0, 0, 1, 1, 1, 1, 1]
    assert factors(stop=3) == [1, 1, 1, 0, 0, 0, 0, 0]
    assert factors(start=2, ramp=4) == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(stop=6, fade=4) == [1, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    assert factors(start=1, ramp=2, stop=6, fade=2) == [0, 0.5, 1, 1, 1, 0.5, 0, 0]


def test_a_term_without_a_schedule_always_counts():
    assert load()["masked_loss.masked_l2"].schedule is None


def test_the_published_warm_ups_can_be_written():
    # First l2_warmup_steps, then warmup_pointsdist, with other losses in their places.
    losses = load(f"{SSIM}.weight=0.5", f"{SSIM}.schedule.start=40")
    assert losses["masked_loss.masked_ssim"].schedule == LossSchedule(start=40)
    losses = load(f"{SSIM}.weight=0.1", f"{SSIM}.schedule.stop=50", f"{L2}.schedule.start=50")
    assert losses["masked_loss.masked_l2"].schedule == LossSchedule(start=50)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([f"{L2}.schedule.start=-1"], r"schedule\.start.*greater than or equal to 0, got -1"),
        ([f"{L2}.schedule.begin=1"], r"unknown key 'begin' in .*schedule"),
        ([f"{L2}.schedule=5"], r"schedule: expected keys and values, got 5"),
        ([f"{L2}.schedule.start=1.5"], r"schedule\.start: expected a whole number, got 1\.5"),
        ([f"{L2}.schedule.fade=3"], r"expected stop beside fade, got fade 3 alone"),
        (
            [f"{L2}.schedule.start=9", f"{L2}.schedule.stop=9"],
            r"expected stop at least 1 after start 9, .*got 9",
        ),
        (
            [f"{L2}.schedule={{ramp: 5, fade: 5, stop: 8}}"],
            r"expected stop at least 10 after start 0, for ramp 5 and fade 5, got 8",
        ),
        (
            [f"{SSIM}.weight=1", f"{SSIM}.schedule.start=100"],
            r"losses\.masked_loss\.masked_ssim: expected schedule\.start below train\.steps, 100, "
            r"got 100: the term would never count",
        ),
        ([f"{L2}.schedule.start=10"], r"counts at every step, got none at step 0 of 100"),
        ([f"{L2}.schedule.stop=99"], r"counts at every step, got none at step 99 of 100"),
        (
            [
                f"{L2}.schedule.stop=20",
                f"{SSIM}.weight=1",
                f"{SSIM}.schedule.start=30",
            ],
            r"counts at every step, got none at step 20 of 100",
        ),
    ],
)
def test_schedules_that_cannot_work_are_one_line(overrides, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(*overrides)
    assert "\n" not in str(caught.value)
