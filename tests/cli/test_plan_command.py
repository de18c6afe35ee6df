"""plan, and train --dry-run, as a user types them."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from bad_input import FEW_MICE, QUICK, call, refuse, sets

from mfl_adapt.train import dry_run
from mfl_adapt.train.planning import plan as planning
from mfl_adapt.train.planning.calibrate import Calibration, Trial
from mfl_adapt.train.planning.setting import Setting


@pytest.fixture
def small(monkeypatch):
    """Few settings, and a calibration that takes no time."""
    setting = Setting(views=6, targets=6, size=64)
    trials = (Trial(setting, 100, 100), Trial(setting, 300, 330))
    monkeypatch.setattr(planning, "calibrate", lambda: Calibration(trials))
    monkeypatch.setattr(planning, "SHARES", (1.0,))


@pytest.mark.usefixtures("small", "empty_folder")
def test_a_plan_as_text_and_as_json(monkeypatch):
    made, make_plan = [], planning.make_plan

    def make_once(*args, **settings):
        if not made:
            made.append(make_plan(*args, **settings))
        return made[0]

    monkeypatch.setattr(planning, "make_plan", make_once)
    options = ("quickstart", "--device", "cuda", "--cameras", "6", "--memory", "2GB")
    result = call("plan", *options)
    assert result.exit_code == 0, result.output
    first, header, *_ = result.stdout.splitlines()
    assert first.startswith("facelift.tiny on cuda, samples of 6 cameras")
    assert "estimated (not checked on CUDA)" in first
    assert header.split()[:3] == ["views", "size", "bf16"]
    flags = result.stdout.splitlines()[-1].split()
    assert flags[::2] == ["--set"] * len(flags[::2])
    again = json.loads(call("plan", *options, "--json").stdout)
    assert flags[1::2] == again["set"]
    # One of six cameras is held out.
    assert again["recommended"]["views"] == 5
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--memory", "lots"], "--memory: expected a size above 0 such as 12GB"),
        (["views-quickstart", "--memory", "1GB"], "expected a base that makes Gaussians"),
        (["--memory", "1GB", "--base", "facelift.tinny"], "Did you mean 'tiny'?"),
        (["quickstart", "--memory", "1GB", "--cameras", "2"], "--cameras"),
        (["--memory", "1GB", "--set", "train.batsh=3"], "train.batsh"),
    ],
)
@pytest.mark.usefixtures("empty_folder")
def test_what_cannot_be_planned_is_said_in_one_line(options, said):
    assert said in refuse("plan", *options)


@pytest.mark.parametrize(
    "options",
    [
        ["plan"],
        ["plan", "--memory", "1GB", "--device", "tpu"],
        ["train", "--json"],
        ["train", "--dry-run", "--resume", "runs/x"],
    ],
)
@pytest.mark.usefixtures("empty_folder")
def test_wrong_usage(options):
    assert call(*options).exit_code == 2


@pytest.mark.usefixtures("empty_folder")
def test_a_dry_run_prints_what_was_found(monkeypatch):
    asked = []

    def rehearse(loaded, host):
        asked.append(loaded.config)
        return SimpleNamespace(to_json=lambda: {"schema": 1}, to_text=lambda: "dry run   x")

    monkeypatch.setattr(dry_run, "dry_run", rehearse)
    assert call("train", "--dry-run", "--steps", "7").stdout == "dry run   x\n"
    assert json.loads(call("train", "--dry-run", "--json").stdout) == {"schema": 1}
    assert [config.train.steps for config in asked] == [7, 1100]
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.usefixtures("empty_folder")
def test_a_dry_run_refuses_what_training_refuses():
    keys = sets(*FEW_MICE, *QUICK, "data.views.inputs=30")
    assert "expected at least 31 views, got 6" in refuse("train", "--dry-run", *keys)
