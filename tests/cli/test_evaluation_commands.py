"""evaluate --leave-one and compare, as a user types them."""

import json
import shutil
from pathlib import Path

import pytest
from bad_input import call, refuse


@pytest.fixture
def run(empty_folder, finished_run) -> Path:
    """A copy of a finished run of two mice, one of which validates."""
    shutil.copytree(finished_run, "mouse")
    return Path("mouse")


def test_one_camera_at_a_time(run):
    result = call("evaluate", "mouse", "--leave-one", "camera")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    start = lines.index("one camera at a time (foreground PSNR)")
    assert [line.split()[0] for line in lines[start + 2 : start + 8]] == [
        f"cam_{k:03d}" for k in range(6)
    ]
    assert "leave one  1/1" in result.stderr


def test_one_session_at_a_time_as_json(run):
    result = call("evaluate", "mouse", "--leave-one", "session", "--json")
    found = json.loads(result.stdout)["leave_one_out"]
    assert found["by"] == "session"
    (group,) = found["groups"]
    assert group["seen_in_training"] is True
    assert group["scores"]["adapted"] == json.loads(result.stdout)["scores"]["adapted"]


def test_another_kind_is_wrong_usage(run):
    assert call("evaluate", "mouse", "--leave-one", "tree").exit_code == 2


def test_a_session_to_train_without_is_named(empty_folder):
    keys = ["--set", "data.split.by=session", "--set", "data.split.leave_out=[monday]"]
    few = ["--set", "data.reader.samples=2", "--set", "data.reader.num_views=6"]
    assert "data.split" in refuse("train", *few, *keys)


def test_a_run_against_its_own_scores(run):
    result = call("evaluate", "mouse", "--json")
    Path("again.json").write_text(result.stdout)
    done = call("compare", "mouse", "again.json")
    assert done.exit_code == 0, done.output
    assert "again.json against mouse: too few scenes" in done.stdout
    assert "foreground +0.00 dB" in done.stdout
    found = json.loads(call("compare", "mouse", "again.json", "--json").stdout)
    assert found["reference"] == "mouse"
    assert found["differences"][0]["mean"]["foreground_psnr_db"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mouse"], "compare: expected at least two different runs, got mouse"),
        (["mouse", "mouse"], "compare: expected at least two different runs, got mouse, mouse"),
        (["mouse", "gone"], "gone: expected the evaluation of a finished run, got no such file"),
        (["mouse", "mouse/adapter"], "mouse/adapter/evaluation.json: expected the evaluation"),
        (["mouse", "mouse/config.yaml"], "mouse/config.yaml:1: expected JSON of scores"),
        (["mouse", "mouse/environment.json"], "got no 'per_scene'"),
    ],
)
def test_what_cannot_be_compared(run, arguments, message):
    assert message in refuse("compare", *arguments)


def test_compare_needs_a_name(empty_folder):
    assert call("compare").exit_code == 2
