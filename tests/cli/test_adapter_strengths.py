"""``--adapter FOLDER@STRENGTH``, several of them, on every command that uses adapters."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from bad_input import call

import mfl_adapt as mfl
from mfl_adapt.adapter import attach, read_adapter, save


class Layers:
    """LoRA on some layers."""

    def __init__(self, *targets):
        self.targets = list(targets)

    def peft_config(self, module):
        import peft

        return peft.LoraConfig(r=2, target_modules=self.targets)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two adapters of the small model of Gaussians."""
    root, base = tmp_path_factory.mktemp("stored"), mfl.load_base("facelift.tiny")
    for seed, name in enumerate(("one", "two")):
        adapter = attach(base, Layers("to_qkv", "fc"), seed=seed)
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.add_(0.02)
        save(adapter, root / name, passport={})
        adapter.remove()
    return root


@pytest.fixture
def here(stored, empty_folder):
    for name in ("one", "two"):
        shutil.copytree(stored / name, empty_folder / name)
    return empty_folder


def reconstruct(mice, out, *adapters):
    arguments = [part for one in adapters for part in ("--adapter", one)]
    result = call("reconstruct", str(mice), "-o", out, "--no-video", "--no-viewer", *arguments)
    assert result.exit_code == 0, result.stderr
    (folder,) = (path for path in Path(out).iterdir() if path.is_dir())
    record = json.loads((folder / "prediction.json").read_text())
    return record["adapters"], (folder / "gaussians.ply").read_bytes()


def test_several_adapters_at_their_strengths(mice, here):
    hashes = [read_adapter(here / name).passport["adapter_hash"] for name in ("one", "two")]
    record, both = reconstruct(mice, "both", "one@0.5", "two")
    assert record == {
        "facelift.tiny": [
            {"adapter_hash": hashes[0], "strength": 0.5},
            {"adapter_hash": hashes[1], "strength": 1.0},
        ]
    }
    _, bare = reconstruct(mice, "bare")
    _, off = reconstruct(mice, "off", "one@0", "two@0")
    _, second = reconstruct(mice, "second", "two")
    _, first_off = reconstruct(mice, "first-off", "one@0", "two")
    assert off == bare
    assert first_off == second
    assert len({both, bare, second}) == 3


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "ball.png", "-o", "out"),
        ("reconstruct", "mice", "-o", "out"),
        ("data", "synth", "ball.png", "-o", "out"),
        ("evaluate", "run"),
    ],
)
@pytest.mark.parametrize("strength", ["-1", "half"])
def test_a_bad_strength_is_one_line(here, command, strength):
    result = call(*command, "--adapter", f"one@{strength}")
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert f"--adapter one@{strength}: expected FOLDER or FOLDER@STRENGTH" in error
    assert not (here / "out").exists()


def test_evaluate_several_together(finished_run, here):
    def scores(*adapters):
        arguments = [part for one in adapters for part in ("--adapter", one)]
        result = call("evaluate", str(finished_run), *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["scores"]

    off, both, half = scores("one@0", "two@0"), scores("one", "two"), scores("one@0.5", "two")
    assert off["adapted"] == off["frozen base"]
    for found in (both, half):
        # All of them are off for the frozen base.
        assert found["frozen base"] == off["frozen base"]
        assert found["adapted"] != off["adapted"]
    assert both["adapted"] != half["adapted"]
