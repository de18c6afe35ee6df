"""Checkpoints that are missing, damaged or of another network; and one that works."""

import json
from pathlib import Path

import pytest
import torch
from bad_input import call, refuse, train
from helpers import shared_path

from mfl_adapt.adapter import read_adapter
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.model import GSLRM

SMALL = GSLRMConfig(image_size=64, d=64, d_head=32, n_layer=1)
NORM = "transformer_layers.0.norm1.weight"


@pytest.fixture
def weights(empty_folder):
    """Weights of a very small network, whose configuration lies beside as net.json."""
    Path("net.json").write_text(json.dumps(SMALL.to_facelift()))
    return GSLRM(SMALL).state_dict()


def reject(checkpoint: str, *keys: str, config: str = "net.json") -> str:
    base = (f"base.checkpoint={checkpoint}", f"base.config={config}")
    return refuse(*train("base.id=facelift.gslrm", *base, *keys))


def test_no_checkpoint_named_and_none_fetched(empty_folder, monkeypatch):
    monkeypatch.setenv("MFL_HOME", str(empty_folder))
    message = refuse(*train("base.id=facelift.gslrm"))
    place = empty_folder / "bases" / "facelift.gslrm"
    assert message == (
        f"facelift.gslrm: expected fetched weights at {place}, found none. Run `mfl-adapt base "
        "fetch facelift.gslrm`, or name a checkpoint of your own."
    )


def test_files_that_are_no_checkpoint(weights):
    Path("folder").mkdir()
    Path("garbage.pt").write_bytes(b"garbage" * 100)
    Path("empty.pt").write_bytes(b"")
    torch.save({"model": weights}, "cut.pt")
    Path("cut.pt").write_bytes(Path("cut.pt").read_bytes()[:-5000])
    for name, reason in {
        "folder": "expected a checkpoint file, got a folder.",
        "garbage.pt": "expected a .pt or .safetensors checkpoint, got another kind of file",
        "empty.pt": "expected a .pt or .safetensors checkpoint, got an empty file",
        "cut.pt": "expected a whole checkpoint, got a damaged or truncated one",
    }.items():
        assert reject(name).startswith(f"{name}: {reason}")
    assert reject("gone.pt").startswith("base.checkpoint: expected an existing file or folder")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda w: w.pop(NORM), f"got 1 missing ({NORM})."),
        (lambda w: w.update(extra=torch.zeros(2)), "got 1 unexpected (extra)."),
        (
            lambda w: w.update({NORM: torch.zeros(7)}),
            f"got 1 of another shape ({NORM} [7] instead of [64]).",
        ),
        (lambda w: w[NORM][:2].fill_(float("nan")), f"got 2 of 64 NaN or infinite in {NORM}."),
    ],
)
def test_tensors_that_do_not_fit(weights, edit, message):
    edit(weights)
    torch.save({"model": weights}, "odd.pt")
    found = reject("odd.pt")
    assert found.startswith("odd.pt: expected")
    assert message in found


def test_configuration_that_is_missing_or_malformed(weights):
    torch.save({"model": weights}, "good.pt")
    Path("broken.json").write_text("{")
    assert reject("good.pt", config="gone.json").startswith("base.config: expected an existing")
    assert reject("good.pt", config="broken.json").startswith("broken.json:1: expected JSON")


def test_configuration_of_another_network(weights):
    torch.save({"model": weights}, "good.pt")
    message = reject("good.pt", config="null")  # the published one: 24 blocks of width 1024
    assert "missing (transformer_layers.1.norm1.weight, " in message
    assert "gaussian_position_embeddings [2, 64] instead of [2, 1024]" in message


def test_another_file_than_the_one_named_by_its_hash(weights):
    torch.save({"model": weights}, "good.pt")
    assert reject("good.pt", "base.sha256=abc").startswith(
        "base.checkpoint: expected good.pt with SHA-256 abc"
    )


@pytest.mark.golden
def test_a_checkpoint_of_facelift_trains(empty_folder):
    checkpoint = shared_path("reference/gslrm_tiny_ckpt_vggkeys.pt")
    config = shared_path("reference/gslrm_tiny_config.json")
    base = ("base.id=facelift.gslrm", f"base.checkpoint={checkpoint}", f"base.config={config}")
    result = call(*train(*base))
    assert result.exit_code == 0, result.stderr
    passport = read_adapter(Path("runs/quickstart/adapter")).passport
    assert (passport["base"]["id"], passport["steps"]) == ("facelift.gslrm", 2)
    rows = Path("runs/quickstart/metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2
    assert call("evaluate", "runs/quickstart").exit_code == 0
    refusal = call("evaluate", "runs/quickstart", "--set", "base=facelift.tiny")
    assert refusal.exit_code == 1
    assert refusal.stderr.startswith(
        "error: runs/quickstart/adapter: expected the base facelift.gslrm with fingerprint "
    )
    assert "got facelift.tiny with fingerprint" in refusal.stderr
