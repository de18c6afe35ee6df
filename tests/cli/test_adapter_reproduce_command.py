"""``adapter reproduce``: what it prints, and its exit code."""

import json
import shutil

import pytest
from bad_input import call


@pytest.fixture
def adapter(empty_folder, finished_run):
    return str(shutil.copytree(finished_run / "adapter", "mine"))


def test_the_same_adapter_comes_out(adapter):
    result = call("adapter", "reproduce", adapter)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    count = lines[0].split()[1]
    assert lines[0] == f"inputs   {count} of {count} as in the passport"
    assert lines[1].startswith("adapter  runs/quickstart-again/adapter")
    assert lines[2].startswith("same     adapter_hash ")


def test_another_input_is_named_and_ends_with_1(adapter):
    result = call("adapter", "reproduce", adapter, "--set", "train.clip=0.001", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert [one["name"] for one in said["differences"]] == ["config.train.clip"]
    assert said["identical"] is False
    assert said["adapter_hash"]["recorded"] != said["adapter_hash"]["here"]
    assert "config.train.clip: 1.0 then, 0.001 here" in result.stderr


def test_inputs_alone(adapter):
    result = call("adapter", "reproduce", adapter, "--inputs-only", "--set", "seed=1")
    assert result.exit_code == 0
    assert "differs  config.seed: 0 then, 1 here" in result.stdout
    assert "adapter  " not in result.stdout


def test_no_adapter_is_one_line(empty_folder):
    result = call("adapter", "reproduce", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: nowhere")
    assert result.stderr.count("\n") == 1
