"""Failures of runs and adapters, put into a run folder and the adapter that it left."""

import json
import shutil
from pathlib import Path

import pytest
from injured_runs import ADAPTERS, METRICS, RUNS, SCORES, make_adapter
from injury import check_injury
from typer.testing import CliRunner
from visits import only, visit, write

from mfl_adapt.cli.app import app
from mfl_adapt.config import dump_config, load_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """What a run of three steps leaves, with good scores."""
    run = tmp_path_factory.mktemp("runs") / "mice"
    make_adapter(run / "adapter", {"metrics": METRICS})
    config = load_config("quickstart", overrides=["train.steps=3", "train.warmup=1"]).config
    write(run / "config.yaml", dump_config(config))
    rows = [
        {"number": number, "parts": {"masked_loss.masked_l2": 0.1, "masked_loss.masked_ssim": 0.3}}
        for number in (1, 2, 3)
    ]
    write(run / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(run / "evaluation.json", json.dumps({"scores": SCORES, "input_view_scores": SCORES}))
    write(run / "doctor.json", "{}")
    step = run / "checkpoints" / "step-2"
    step.mkdir(parents=True)
    (step / "state.bin").write_bytes(b"abc")
    # sha256 of b"abc", as published with the algorithm.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write(step / "SHA256SUMS", f"{digest}  state.bin\n")
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "mice"))


def test_a_finished_run_is_clean(run):
    status, content = visit(run)
    assert (status, content["findings"], content["kind"]) == (0, [], "run")
    assert content["facts"]["base"] == "facelift.tiny"
    assert {"facelift_checks.saved", "facelift_checks.clip", "facelift_checks.unproven"} <= set(
        content["looked_at"]
    )


@pytest.mark.parametrize("injury", [*RUNS, *ADAPTERS], ids=str)
def test_the_doctor_names_what_is_wrong_with_a_run(run, injury):
    status, content = visit(injury.injure(run))
    check_injury(injury, content["findings"])
    assert status == (1 if injury.severity == "law" else 0)
    assert content["begin_with"] == ([] if injury.severity == "info" else [injury.code])


def test_what_guards_found_while_it_went_on(run):
    row = {
        "step": 3,
        "code": "MFL113",
        "severity": "warning",
        "where": "train",
        "value": "contrast 0.02 of the photographs'",
        "expected": "a subject that stands out from the background",
        "remedy": "Run mfl-adapt doctor on the data.",
    }
    write(run / "guards.jsonl", json.dumps(row) + '\n{"step": 4, "co')
    one = only("MFL113", "warning", "^contrast 0.02", run)
    assert one["where"] == "train, step 3"
    result = CliRunner().invoke(app, ["doctor", str(run)])
    assert "warning MFL113  collapse to the background" in result.stdout.splitlines()


def test_an_adapter_alone(run):
    status, content = visit(run / "adapter")
    assert (status, content["findings"], content["kind"]) == (0, [], "adapter")


def test_an_adapter_of_another_program_is_called_so(run):
    (run / "adapter/passport.json").unlink()
    assert visit(run / "adapter")[1]["kind"] == "adapter of another program"
