"""Training and evaluating a model of views by the commands that serve every base."""

import json
import re

import pytest
from fresh_views import SMALL, write_fresh
from typer.testing import CliRunner

from mfl_adapt.cli.app import app


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    model = write_fresh(tmp_path_factory.mktemp("views") / "model")
    return [f"--set={one}" for one in (*SMALL, f"base.checkpoint={model}")]


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    """One short run; returns its folder and what it printed."""
    output = tmp_path_factory.mktemp("trained")
    plugins = ["--plugins", "facelift_loss,lora_mvdiffusion"]
    arguments = ["train", "views-quickstart", *plugins, "--steps", "1", "--name", "mouse"]
    done = CliRunner().invoke(app, [*arguments, *settings, "--set", f"output={output}"])
    assert done.exit_code == 0, done.output
    return output / "mouse", done


def test_train_prints_a_table_with_the_input_copied(trained):
    _, done = trained
    for name in ("white", "mean colour", "copy of the input", "frozen base", "adapted"):
        assert re.search(rf"^{name} +-?\d+\.\d\d dB", done.stdout, re.MULTILINE)
    assert "5 held-out views of 1 held-out scene" in done.stdout
    assert re.search(r"^train +1/1 +min_snr \d\.\d+ +\d+\.\d\d s/it$", done.stderr, re.MULTILINE)


def test_evaluate_repeats_the_scores_of_the_run(trained):
    folder, done = trained
    again = CliRunner().invoke(app, ["evaluate", str(folder)])
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[:7] == done.stdout.splitlines()[:7]
    stored = json.loads((folder / "evaluation.json").read_text())
    assert stored["scores"]["copy of the input"]["iou"] is None


def test_doctor_finds_nothing_wrong_with_mice_on_the_slots(settings):
    done = CliRunner().invoke(app, ["doctor", "views-quickstart", *settings])
    assert done.exit_code == 0, done.output
    assert "law 0" in done.stdout


def test_slots_are_asked_for_only_where_the_adapter_needs_them(settings):
    rig = ["--set", "data.reader.rig=random", "--json"]
    posed = ["--plugins", "pose_mvdiffusion"]
    done = CliRunner().invoke(app, ["doctor", "views-quickstart", *settings, *rig, *posed])
    assert done.exit_code == 0, done.output
    found = [one for one in json.loads(done.stdout)["findings"] if one["severity"] != "info"]
    assert not {one["code"] for one in found} & {"MFL009", "MFL010", "MFL011"}
    plain = CliRunner().invoke(app, ["doctor", "views-quickstart", *settings, *rig])
    assert plain.exit_code == 1
    assert "one view per slot of the model" in plain.stdout
