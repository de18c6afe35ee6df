"""A run whose adapter is damaged: refused by the name of the file, never shown as a good one."""

import json
import shutil

import peft
import pytest
import torch
from made_runs import make_run

from mfl_adapt.adapter import attach, read_adapter, save
from mfl_adapt.adapter.intact import read_intact
from mfl_adapt.errors import AdapterError
from mfl_adapt.pipeline import load_base
from mfl_adapt.report.run import write_report


class Method:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, lora_alpha=2, target_modules=["attn.fc"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with a real adapter; to be copied, not changed."""
    run = make_run(tmp_path_factory.mktemp("whole") / "mouse")
    adapter = attach(load_base("facelift.tiny"), Method(), seed=0)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    save(adapter, run / "adapter", passport={})
    return run


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "mouse")


def test_a_whole_adapter_is_shown(run):
    found = write_report(run)
    digest = read_adapter(run / "adapter").passport["adapter_hash"]
    assert read_intact(run / "adapter").passport["adapter_hash"] == digest
    assert digest in found.path.read_text("utf-8")
    assert not any(one.startswith("Adapter") for one in found.missing)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def swap_method(path):
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"peft_type": "IA3"}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("adapter_model.safetensors", flip_a_bit, "expected weights of hash .* the passport names"),
        ("adapter_model.safetensors", cut, "expected a whole safetensors file"),
        ("adapter_model.safetensors", lambda path: path.unlink(), "expected"),
        ("passport.json", lambda path: path.write_text("{}"), "expected a passport of schema"),
        ("passport.json", lambda path: path.write_text("{"), "expected JSON"),
        ("adapter_config.json", lambda path: path.write_text("{}"), "peft_type LORA, got none"),
        ("adapter_config.json", lambda path: path.write_text("3"), "peft_type LORA, got 3"),
        ("adapter_config.json", swap_method, "peft_type LORA, got 'IA3'"),
        ("adapter_config.json", lambda path: path.unlink(), "expected"),
    ],
)
def test_a_damaged_file_is_named(run, name, damage, message):
    damage(run / "adapter" / name)
    with pytest.raises(AdapterError, match=message) as caught:
        write_report(run)
    assert name in str(caught.value)
    assert "To have a report without the adapter, move" in str(caught.value)
    assert not (run / "report.html").exists()


def test_an_empty_folder_is_no_missing_adapter(run):
    shutil.rmtree(run / "adapter")
    (run / "adapter").mkdir()
    with pytest.raises(AdapterError, match=r"passport\.json"):
        write_report(run)
    (run / "adapter").rmdir()
    assert "Adapter: the run left none." in write_report(run).missing
