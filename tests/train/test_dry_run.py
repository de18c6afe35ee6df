"""A dry run takes true steps, says what a run will take, and leaves nothing behind."""

import json
import tempfile

import pytest
import torch
from fresh_views import open_views
from small_runs import SMALL

from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.errors import MflAdaptError, StorageError
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train import dry_run as rehearsing
from mfl_adapt.train.dry_run import check_output, dry_run, fullest_step
from mfl_adapt.train.dry_run_record import Finish, Pace, show_time


def rehearse(output, *overrides):
    loaded = load_config("quickstart", overrides=[*SMALL, f"output={output}", *overrides])
    host = load_plugins(loaded.config.plugins)
    return dry_run(claim_slots(loaded, host), host)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(rehearsing, "_ENOUGH_S", 0.0)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_dry_run_of_the_quickstart(tmp_path, temporary, monkeypatch):
    seen, take_step = [], rehearsing.take_step

    def watched(task, learner, accelerator, settings):
        before = {name: one.detach().clone() for name, one in learner.named.items()}
        step = take_step(task, learner, accelerator, settings)
        moved = [name for name, one in learner.named.items() if not torch.equal(one, before[name])]
        seen.append((step, moved))
        return step

    monkeypatch.setattr(rehearsing, "take_step", watched)
    last = "adapter.targets=[transformer_layers.5.*]"
    found = rehearse(tmp_path / "runs", "train.steps=40", "train.batch=1", last)
    # The second step is taken again, as what was kept of its sample makes it faster.
    assert [step.number for step, _ in seen] == [1, 2, 2]
    assert all(moved for _, moved in seen)
    assert not (tmp_path / "runs").exists()
    assert list(temporary.iterdir()) == []
    check(found, steps=40)
    assert (found.facts.base, found.facts.train, found.facts.validate) == ("facelift.tiny", 4, 1)
    assert (found.facts.inputs, found.facts.targets, found.facts.size) == (4, 4, 64)
    assert (found.pace.step, found.pace.counted) == (1, 1)
    # 258 tokens of width 192, and the rays of 4 views, for each of two samples.
    assert found.pace.kept_bytes > 2 * 4 * (258 * 192 + 4 * 3 * 64 * 64)
    assert "kept for the next epoch" in found.to_text()
    # Four bytes for each weight, the names and the header beside them.
    assert 4 * found.facts.weights < found.room.adapter < 4 * found.facts.weights + 20_000
    # Weights twice (once as an adapter) and two moments.
    assert found.room.checkpoint > 4 * 4 * found.facts.weights
    assert found.room.checkpoints == 5


def check(found, *, steps):
    """Hold a record to itself."""
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["run"]["steps"] == steps
    assert plain["doctor"]["findings"]["law"] == 0
    assert plain["memory"]["of"] == "process"
    assert plain["memory"]["peak_bytes"] > plain["memory"]["before_bytes"] > 10**8
    parts = plain["step"]["parts"]
    assert all(seconds >= 0 for seconds in parts.values())
    assert parts["forward"] > 0
    assert parts["backward"] > 0
    assert sum(parts.values()) == pytest.approx(plain["step"]["seconds"], rel=0.01)
    finish = dict(plain["finish"])
    assert finish.pop("total") == pytest.approx(sum(finish.values()))
    assert finish["steps"] >= steps * min(found.pace.again, found.pace.fresh)
    assert finish["evaluation"] > 0
    needed = plain["disk"]["checkpoint"] * 5 + plain["disk"]["adapter"]
    assert plain["disk"]["needed"] == needed < plain["disk"]["free"]
    lines = found.to_text().splitlines()
    assert [line.split()[0] for line in lines] == [
        *("dry", "data", "doctor", "adapter", "memory", "step", "time", "finish", "disk")
    ]


def test_a_dry_run_of_the_views_quickstart(tmp_path, fresh_model, temporary, monkeypatch):
    asked = []

    def evaluate(base, adapter, data, config, report):
        asked.append(config.diffusion.sampling_steps)
        assert config.evaluate.samples == 2
        report(1, 2)
        report(2, 2)

    monkeypatch.setattr(rehearsing, "evaluate_any", evaluate)
    loaded, host = open_views(fresh_model, tmp_path / "runs", "train.steps=5")
    found = dry_run(loaded, host)
    assert not (tmp_path / "runs").exists()
    assert list(temporary.iterdir()) == []
    check(found, steps=5)
    assert "render" not in found.pace.parts
    assert (found.facts.inputs, found.facts.targets) == (1, 6)
    # A few denoising steps tell how long all of them take.
    assert asked == [1, 3]


def test_what_stops_a_run_stops_its_rehearsal(tmp_path):
    with pytest.raises(MflAdaptError, match=r"expected at least 42 views, got 8"):
        rehearse(tmp_path / "runs", "data.views.inputs=40")
    assert not (tmp_path / "runs").exists()


def test_the_output_must_be_a_place_to_write(tmp_path):
    assert check_output(tmp_path / "not" / "yet" / "there") > 0
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"expected a folder that can be made and written"):
        check_output(tmp_path / "file" / "runs")


def test_steps_are_tried_where_most_terms_count():
    def at(*schedules, steps=100):
        losses = {
            f"masked_loss.{name}": {"weight": 1.0, "schedule": schedule}
            for name, schedule in zip(("masked_l2", "masked_ssim"), schedules, strict=False)
        }
        override = f"losses={json.dumps(losses)}"
        return fullest_step(
            load_config("quickstart", overrides=[override, f"train.steps={steps}"]).config
        )

    assert at(None, None) == 0
    assert at(None, {"start": 10, "ramp": 5}) == 15
    assert at({"start": 0, "stop": 12}, {"start": 10}) == 10
    assert at(None, {"start": 500}, steps=100) in {0, 99}


def test_new_samples_take_longer():
    class Data:
        class split:  # noqa: N801  # named as in the library
            train = tuple(range(10))

    class Config:
        class train:  # noqa: N801
            steps, batch = 100, 2

    class Session:
        config, data = Config, Data

    pace = Pace(1, 0.0, fresh=3.0, again=1.0, counted=1, parts={}, kept_bytes=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsing, "_same_inputs", lambda _: True)
        assert rehearsing._step_seconds(Session, pace) == 5 * 3 + 95
        patch.setattr(rehearsing, "_same_inputs", lambda _: False)
        assert rehearsing._step_seconds(Session, pace) == 300


@pytest.mark.parametrize(
    ("steps", "every", "times"), [(10, 5, 2), (11, 5, 3), (4, 5, 0), (10, None, 0), (5, 5, 1)]
)
def test_how_often_something_is_due(steps, every, times):
    assert rehearsing._times(steps, every) == times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.26, "0.3 s"), (42.0, "42 s"), (90, "1 min 30 s"), (7260, "2 h 1 min"), (90000, "1 d 1 h")],
)
def test_times_are_shown_in_two_units(seconds, text):
    assert show_time(seconds) == text


def test_the_end_is_the_sum():
    assert Finish(1.0, 2.0, 3.0, 4.0, 5.0).total == 15.0
