"""Run folders and adapters that cannot be evaluated."""

import shutil
from pathlib import Path

import pytest
import torch
from bad_input import call, refuse
from safetensors import safe_open
from safetensors.torch import save_file


@pytest.fixture
def run(empty_folder, finished_run) -> Path:
    """A copy of a finished run, to be spoilt."""
    shutil.copytree(finished_run, "mouse")
    return Path("mouse")


def test_missing_run_folder(empty_folder):
    message = refuse("evaluate", "gone")
    assert message == (
        "gone: expected the folder of a run, got no such folder. Name the folder that mfl-adapt "
        "train wrote."
    )


def test_a_whole_run_is_evaluated(run):
    result = call("evaluate", "mouse")
    assert result.exit_code == 0
    assert "error" not in result.stderr
    assert "adapted" in result.stdout


def test_missing_adapter(run):
    shutil.rmtree(run / "adapter")
    assert refuse("evaluate", "mouse").startswith("mouse/adapter/passport.json: expected a file of")


def test_adapter_with_nan(run):
    path = run / "adapter/adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = min(tensors)
    tensors[name].view(-1)[:3] = torch.nan
    save_file(tensors, path, metadata=metadata)
    message = refuse("evaluate", "mouse")
    count = tensors[name].numel()
    assert message.startswith(f"{path}: expected finite weights, got 3 of {count} in {name}")


def test_truncated_adapter(run):
    path = run / "adapter/adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert refuse("evaluate", "mouse").startswith(f"{path}: expected a whole safetensors file, got")


def test_changed_passport(run):
    path = run / "adapter/passport.json"
    path.write_text(path.read_text().replace("facelift.tiny", "facelift.gslrm"))
    assert refuse("evaluate", "mouse").startswith("mouse/adapter: expected one passport")
