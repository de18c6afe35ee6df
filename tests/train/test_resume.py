"""A run that was broken off goes on as if it had not been."""

import copy
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import needs_cuda
from mfl_adapt_view_policies.held_out import HeldOut
from silent import Silent
from small_runs import run_small
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.errors import CheckpointError, ConfigError, DataError, TrainingError
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.checkpoints import find_checkpoints, read_newest
from mfl_adapt.train.claim import claim
from mfl_adapt.train.randomness import capture_random, restore_random, undisturbed
from mfl_adapt.train.reconstruction import Reconstruction
from mfl_adapt.train.resume import check_same
from mfl_adapt.train.run import Result, run_training

SHORT = ("train.steps=4", "train.save_every=1", "evaluate.retention=0", "evaluate.samples=1")


class BrokenOffError(Exception):
    """Stands for the end of a process."""


class BreakOff(Silent):
    """Ends a run after a step, without a chance to save anything."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def step(self, step) -> None:
        super().step(step)
        if step.number == self.after:
            raise BrokenOffError


def go_on(folder: Path, *overrides: str, listener: Silent | None = None) -> Result:
    """Do what ``train --resume`` does."""
    flags = {"train.resume": str(folder)}
    loaded = load_config(folder / "config.yaml", overrides=overrides, flags=flags)
    host = load_plugins(loaded.config.plugins)
    return run_training(claim_slots(loaded, host), host, listener or Silent())


def hash_of(folder: Path) -> str:
    return json.loads((folder / "adapter" / "passport.json").read_text())["adapter_hash"]


def rows_of(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def check_the_same(resumed: Result, whole: Result) -> None:
    """Hold everything that a run leaves behind against that of another."""
    mine, other = resumed.session.folder.path, whole.session.folder.path
    assert hash_of(mine) == hash_of(other)
    assert rows_of(mine) == rows_of(other)
    assert resumed.evaluation == whole.evaluation
    pictures = [{one.name: one.read_bytes() for one in (run / "samples").iterdir()}
                for run in (mine, other)]  # fmt: skip
    assert pictures[0] == pictures[1]


def break_off(root: Path, *overrides: str, after: int = 3) -> Path:
    """Break a run off after a step and return its folder."""
    with pytest.raises(BrokenOffError):
        run_small(root, *SHORT, *overrides, listener=BreakOff(after))
    return root / "quickstart"


@pytest.fixture(scope="module")
def broken_once(tmp_path_factory) -> Path:
    return break_off(tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Result:
    """The run that was not broken off."""
    return run_small(tmp_path_factory.mktemp("whole"), *SHORT)


@pytest.fixture
def broken(broken_once, tmp_path) -> Path:
    """Return a copy of the folder of a run that was broken off after step 3 of 4."""
    return Path(shutil.copytree(broken_once, tmp_path / "quickstart"))


# Dropout draws from the global generators; everything that a checkpoint holds is in this run.
FULL = ("train.ema=0.9", "adapter.lora_dropout=0.3", "adapter.lora_plus_ratio=4",
        "train.weight_decay=0.1", "train.validate_every=2", "data.reader.workers=2")  # fmt: skip


def test_a_resumed_run_is_the_unbroken_one(small_run, tmp_path):
    folder = break_off(tmp_path / "broken", *FULL)
    # After the checkpoint of step 2 came a step that was lost, and half a line of its log.
    shutil.rmtree(folder / "checkpoints" / "step-3")
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"number": 4, "lo')
    (folder / ".adapter.0123.partial").mkdir()
    listener = Silent()
    resumed = go_on(folder, listener=listener)
    assert [step.number for step in listener.steps] == [3, 4]
    assert listener.run.checkpoint.step == 2
    assert not list(folder.glob(".*"))
    check_the_same(resumed, small_run(*SHORT, *FULL))
    assert resumed.session.config.train.resume is None


def test_a_resumed_run_of_views_is_the_unbroken_one(views_run, tmp_path):
    settings = ("train.steps=3", "train.ema=0.9", "train.validate_every=2",
                "diffusion.background=random", "evaluate.retention=0")  # fmt: skip
    with pytest.raises(BrokenOffError):
        views_run(*settings, listener=BreakOff(2))
    resumed = go_on(tmp_path / "runs" / "views-quickstart")
    whole = views_run(*settings)
    assert [row["held_out_psnr_db"] is None for row in rows_of(whole.session.folder.path)] == [
        True, False, False,
    ]  # fmt: skip
    check_the_same(resumed, whole)


def test_what_a_plugin_remembers_comes_back(small_run, tmp_path, monkeypatch):
    choose = HeldOut.train

    def train(self, cameras, *, seed):
        self.asked = getattr(self, "asked", 0) + 1
        return choose(self, cameras, seed=seed + self.asked)

    monkeypatch.setattr(HeldOut, "train", train)
    folder = break_off(tmp_path / "forgetful")
    forgot = rows_of(go_on(folder).session.folder.path)
    monkeypatch.setattr(HeldOut, "state", lambda self: {"asked": self.asked}, raising=False)
    monkeypatch.setattr(
        HeldOut,
        "restore",
        lambda self, state: setattr(self, "asked", state["asked"]),
        raising=False,
    )
    resumed = go_on(break_off(tmp_path / "mindful"))
    whole = small_run(*SHORT)
    check_the_same(resumed, whole)
    assert forgot != rows_of(whole.session.folder.path)


def test_a_run_without_a_checkpoint_begins_anew(broken, whole, caplog):
    shutil.rmtree(broken / "checkpoints")
    caplog.set_level("INFO", logger="mfl_adapt.train")
    check_the_same(go_on(broken), whole)
    assert "has no checkpoint yet" in caplog.text


def test_a_run_without_a_checkpoint_keeps_to_its_settings(broken):
    shutil.rmtree(broken / "checkpoints")
    with pytest.raises(ConfigError, match=r"config\.train\.lr: 0\.003 then, 0\.5 here"):
        go_on(broken, "train.lr=0.5")
    (broken / "identity.json").write_text("[]")
    with pytest.raises(TrainingError, match=r"identity\.json: expected what the run was made from"):
        go_on(broken)
    (broken / "identity.json").unlink()
    with pytest.raises(TrainingError, match=r"expected a checkpoint in .*, or identity\.json of a"):
        go_on(broken)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damaged_checkpoints_are_named_and_the_one_before_is_taken(broken, whole, caplog):
    newest, before, *_ = find_checkpoints(broken)
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    flip(before / "adapter_model.safetensors")
    listener = Silent()
    check_the_same(go_on(broken, listener=listener), whole)
    assert listener.run.checkpoint.step == 1
    assert [step.number for step in listener.steps] == [2, 3, 4]
    assert f"{state}: expected SHA-256" in caplog.text
    assert f"{before / 'adapter_model.safetensors'}: expected SHA-256" in caplog.text


def test_without_a_sound_checkpoint_nothing_begins_anew(broken):
    for path in find_checkpoints(broken):
        flip(path / "state.json")
    with pytest.raises(CheckpointError, match=r"a checkpoint that verifies, got 3 damaged"):
        read_newest(broken)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("train.lr=0.5", ConfigError, r"settings that .* config\.train\.lr: 0\.003 then, 0\.5 her"),
        ("data.reader.seed=7", DataError, r"the data that .*data\.fingerprint: \w{64} then"),
    ],
)
def test_a_run_goes_on_with_what_it_began_with(broken, override, error, message):
    before = sorted(path.name for path in broken.rglob("*"))
    with pytest.raises(error, match=message) as caught:
        go_on(broken, override)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in broken.rglob("*")) == before


def test_another_base_is_refused_and_other_software_is_named(broken, caplog):
    stored = read_newest(broken).state.plain["identity"]
    here = copy.deepcopy(stored)
    here["environment"]["packages"]["torch"] = "1.0"
    check_same(stored, here, broken)
    assert "torch: 2." in caplog.text
    assert "then, 1.0 here" in caplog.text
    here["base"]["sha256"] = "f" * 64
    with pytest.raises(CheckpointError, match=r"base\.sha256: \w{64} then, f{64} here"):
        check_same(stored, here, broken)


def test_what_is_only_shown_may_change(broken, whole):
    resumed = go_on(broken, "train.log_every=50", "train.keep=1")
    assert hash_of(broken) == hash_of(whole.session.folder.path)
    assert resumed.steps == 4
    assert [path.name for path in find_checkpoints(broken)] == ["step-4"]


def test_a_finished_run_and_a_missing_one_are_refused(small_run, whole, tmp_path):
    folder = whole.session.folder.path
    with pytest.raises(TrainingError, match=r"expected a run with steps left, got .* finished"):
        small_run(f"train.resume={folder}")
    with pytest.raises(TrainingError, match=r"expected the folder of a run, got .*gone, which do"):
        small_run(f"train.resume={tmp_path / 'gone'}")
    with pytest.raises(TrainingError, match=r"got .* without config\.yaml"):
        small_run(f"train.resume={tmp_path}")
    assert not (tmp_path / "runs").exists()


def test_the_command_line_goes_on_with_a_run(broken):
    done = CliRunner().invoke(app, ["train", "--resume", str(broken)])
    assert done.exit_code == 0, done.output
    assert f"resumed   after step 3, from {broken / 'checkpoints' / 'step-3'}" in done.stderr
    assert str(broken / "adapter") in done.stdout
    for words, code, said in (
        (["quickstart", "--resume", str(broken)], 2, "expected CONFIG or --resume, got both"),
        (["--resume", str(broken)], 1, "error: train.resume: expected a run with steps left"),
        (["--resume", str(broken / "gone")], 1, "which does not exist"),
    ):
        done = CliRunner().invoke(app, ["train", *words])
        assert done.exit_code == code
        assert said in " ".join(done.stderr.split())


def test_a_run_that_somebody_trains_is_refused(broken, small_run):
    refused = pytest.raises(TrainingError, match="expected a run that nobody is training")
    with claim(broken), refused:
        small_run(f"train.resume={broken}")
    with claim(broken):
        pass


def test_the_best_checkpoint_stays(small_run, monkeypatch):
    scores = iter([20.0, 22.0, 21.0, float("nan"), 21.5])
    monkeypatch.setattr(Reconstruction, "validate", lambda self, limit: next(scores))
    settings = ("train.steps=5", "train.save_every=4", "train.keep=1", "train.validate_every=1")
    result = small_run(*SHORT, *settings)
    folder = result.session.folder.path
    measured = [row["held_out_psnr_db"] for row in rows_of(folder)]
    assert measured == [20.0, 22.0, 21.0, None, 21.5]
    # Step 2 is no multiple of 4, and was followed by more checkpoints than are kept.
    assert [path.name for path in find_checkpoints(folder)] == ["step-5", "step-2"]
    assert result.notes == (
        "best: 22.00 dB foreground on held-out views at step 2, 21.50 dB at the end; that adapter "
        f"is in {folder / 'checkpoints' / 'step-2'}",
    )


def test_measuring_on_the_way_changes_no_bit(small_run, whole):
    settings = ("train.validate_every=1", "train.guards.every=1", "train.save_every=3")
    folder = small_run(*SHORT, *settings).session.folder.path
    assert hash_of(folder) == hash_of(whole.session.folder.path)


def test_random_numbers_come_back():
    def draw():
        return random.random(), float(np.random.random()), float(torch.rand(()))

    before = capture_random()
    first = draw()
    with undisturbed():
        draw()
    second = draw()
    assert len({*first, *second}) == 6
    # As it comes out of a file.
    plain = json.loads(json.dumps(before.plain))
    restore_random(before._replace(plain=plain))
    assert (draw(), draw()) == (first, second)


@needs_cuda
@pytest.mark.gpu
def test_random_numbers_of_a_gpu_come_back():
    torch.rand((), device="cuda")
    before = capture_random()
    first = float(torch.rand((), device="cuda"))
    restore_random(before)
    assert float(torch.rand((), device="cuda")) == first


@needs_cuda
@pytest.mark.gpu
def test_a_run_on_a_gpu_goes_on(tmp_path):
    settings = ("train.device=cuda", "adapter.lora_dropout=0.3", "train.precision=fp16")
    resumed = go_on(break_off(tmp_path, *settings))
    assert resumed.steps == 4
    assert [row["number"] for row in rows_of(resumed.session.folder.path)] == [1, 2, 3, 4]
