"""The commands of the main job, as a user types them: train, evaluate, doctor."""

import json
import re

import pytest
from typer.testing import CliRunner

from mfl_adapt.cli.app import app

SETTINGS = ("samples=4", "num_views=8")
MICE = [f"--set=data.reader.{one}" for one in SETTINGS] + [
    "--set=data.split.validation=0.25",
    "--set=data.split.gap=0",
    "--set=evaluate.retention=1",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One short run through the command line; returns its folder and what it printed."""
    output = tmp_path_factory.mktemp("trained")
    arguments = ["train", "--plugins", "masked_loss,lora_gslrm", "--steps", "2", "--name", "mouse"]
    done = CliRunner().invoke(app, [*arguments, *MICE, "--set", f"output={output}"])
    assert done.exit_code == 0, done.output
    return output / "mouse", done


def test_train_prints_a_table_and_where_things_are(trained):
    folder, done = trained
    for name in ("white", "mean colour", "frozen base", "adapted"):
        assert re.search(rf"^{name} +\d+\.\d\d dB", done.stdout, re.MULTILINE)
    assert "2 held-out views of 1 held-out scene" in done.stdout
    assert str(folder / "adapter") in done.stdout
    assert re.search(r"^train +2/2 .*masked_l2 \d.*foreground.* dB.* s/it", done.stderr, re.M)


def test_evaluate_repeats_the_scores_of_the_run(trained):
    folder, done = trained
    again = CliRunner().invoke(app, ["evaluate", str(folder)])
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[:6] == done.stdout.splitlines()[:6]


def test_evaluate_as_json_is_json(trained):
    folder, _ = trained
    done = CliRunner().invoke(app, ["evaluate", str(folder), "--json"])
    assert json.loads(done.stdout) == json.loads((folder / "evaluation.json").read_text())


def test_doctor_finds_nothing_wrong_with_our_own_mice():
    done = CliRunner().invoke(app, ["doctor", *MICE])
    assert done.exit_code == 0, done.output
    assert "law 0" in done.stdout


def test_the_resolved_configuration_trains_again(trained, tmp_path):
    folder, _ = trained
    arguments = ["train", str(folder / "config.yaml"), "--set", f"output={tmp_path}"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    first, second = (
        json.loads((path / "adapter" / "passport.json").read_text())["adapter_hash"]
        for path in (folder, tmp_path / "mouse")
    )
    assert first == second
