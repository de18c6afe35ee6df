"""Each guard speaks up when its failure is put into a real run, and no other one does."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from guard_injuries import GUARDS
from injury import check_injury
from silent import Silent
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.doctor.folders import read_guards
from mfl_adapt.images import load_picture
from mfl_adapt.train import diffusion
from mfl_adapt.train.guards.stop import GuardError
from mfl_adapt.train.guards.table import GUARDS as TABLE

# A warning needs five looks after the first step; at this rate nothing heals that soon.
LOOKED_AT = ("train.lr=1.0e-4", "train.steps=8", "train.guards.every=1", "train.sample_every=100",
             "train.save_every=100")  # fmt: skip


class EnoughError(Exception):
    """Ends a run that has shown what it had to show."""


class Brief(Silent):
    def step(self, step) -> None:
        super().step(step)
        if step.number == 7:
            raise EnoughError


@pytest.fixture
def findings(small_run, tmp_path):
    """Return a function that runs what was injured and returns the findings in its folder."""

    def run(*overrides: str, stops: bool = False) -> list[dict]:
        listener = Brief()
        with pytest.raises(GuardError if stops else EnoughError) as caught:
            small_run(*LOOKED_AT, *overrides, listener=listener)
        folder = tmp_path / "runs" / "quickstart"
        path = folder / "guards.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        shown = [found.code for step in listener.steps for found in step.findings]
        if stops:
            assert caught.value.finding.code == rows[-1]["code"]
            assert str(caught.value).endswith(f" What it saw is in {path}.")
            shown.append(caught.value.finding.code)
        assert shown == [row["code"] for row in rows]
        for row in rows:
            if row["picture"] is not None:
                assert load_picture(folder / row["picture"]).rgb.ndim == 3
        return rows

    return run


def test_a_sound_run_has_no_findings(findings, tmp_path):
    assert findings() == []
    assert not (tmp_path / "runs" / "quickstart" / "guards.jsonl").exists()


@pytest.mark.parametrize("injury", GUARDS, ids=str)
def test_a_guard_speaks_up_and_no_other_does(findings, tmp_path, monkeypatch, injury):
    injury.injure(monkeypatch)
    (row,) = findings(stops=injury.severity == "law")
    # What the doctor says of such a run later.
    found = [asdict(one) for one in read_guards(tmp_path / "runs" / "quickstart")]
    check_injury(injury, found)
    pictured = next(one.picture for one in TABLE if one.code == injury.code)
    name = f"guards/step-{row['step']:06d}-{injury.code}.png"
    assert row["picture"] == (name if pictured else None)


def test_views_that_are_all_white(views_run, monkeypatch):
    def white(base, sample, *_):
        return torch.ones(len(sample.views), 3, 64, 64)

    monkeypatch.setattr(diffusion, "make_views", white)
    settings = ("train.steps=3", "train.sample_every=1", "evaluate.retention=0")
    result = views_run(*settings, "evaluate.samples=1")
    path = result.session.folder.path / "guards.jsonl"
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (row["code"], row["step"]) == ("MFL113", 3)
    assert result.notes == (f"guards: 1 finding, in {path}",)


IDLE = '''"""A loss that forgot what it was made from."""

from mfl_adapt.plugin import ComponentConfig, LossSpec, hookimpl

MFL_API = 1


class Idle:
    def __init__(self, config):
        pass

    def __call__(self, pred, target, mask, context):
        return (pred - target).square().mean(dim=(2, 3, 4)).detach()


@hookimpl
def register_components():
    return [LossSpec(name="l2", summary="No gradient.", config=ComponentConfig, build="{}:Idle")]
'''


def test_the_command_line_shows_what_a_guard_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("idle.py").write_text(IDLE.replace("{}", "idle"))
    monkeypatch.syspath_prepend(tmp_path)
    settings = (
        *(*LOOKED_AT, "data.reader.samples=4", "data.split.gap=0", "train.warmup=1"),
        *("evaluate.samples=1", "evaluate.retention=0", "losses.idle.l2.weight=1"),
    )
    words = [word for one in settings for word in ("--set", one)]
    done = CliRunner().invoke(app, ["train", "quickstart", "--plugins", "./idle.py", *words])
    assert done.exit_code == 0, done.output
    assert "guard     warning MFL109 at step 5: losses.idle.l2: expected a gradient" in done.stderr
    assert "Remove the term" in done.stderr
    assert "guards: 1 finding, in runs/quickstart/guards.jsonl" in done.stdout
