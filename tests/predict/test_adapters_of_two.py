"""Each adapter finds its base."""

import peft
import pytest
import torch

from mfl_adapt.adapter import attach, save
from mfl_adapt.errors import AdapterError
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.predict.adapters import describe_adapters, load_adapters


class Lora:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, target_modules=["to_qkv"])


def base(name, layers):
    config = GSLRMConfig(image_size=16, patch_size=8, d=32, d_head=16, n_layer=layers)
    model = GSLRM(config, generator=torch.Generator().manual_seed(layers))
    return FrozenGSLRM(model, id=name, sha256=str(layers) * 64)


@pytest.fixture
def bases():
    return [base("test.views", 1), base("test.gaussians", 2)]


def adapter_for(of, folder, seed=0):
    return save(attach(of, Lora(), seed=seed), folder, passport={})


def test_each_goes_to_its_own_base_whatever_the_order(bases, tmp_path):
    folders = [
        adapter_for(base("test.gaussians", 2), tmp_path / "g"),
        adapter_for(base("test.views", 1), tmp_path / "v"),
    ]
    found = load_adapters(folders, bases)
    assert {name: adapter.base for name, adapter in found.items()} == {
        "test.gaussians": bases[1],
        "test.views": bases[0],
    }
    assert set(describe_adapters(found)) == {"test.gaussians", "test.views"}
    assert all(len(digest) == 64 for digest in describe_adapters(found).values())


def test_none_is_fine(bases):
    assert load_adapters([], bases) == {}


def test_an_adapter_for_neither_names_both(bases, tmp_path):
    folder = adapter_for(base("test.other", 3), tmp_path / "o")
    with pytest.raises(AdapterError, match=r"test\.views .* and test\.gaussians .*test\.other"):
        load_adapters([folder], bases)


def test_an_adapter_for_another_version_of_a_base(bases, tmp_path):
    other = base("test.views", 1)
    other.sha256 = "9" * 64
    folder = adapter_for(other, tmp_path / "o")
    with pytest.raises(AdapterError, match=r"another version of test\.views"):
        load_adapters([folder], bases)


def test_two_for_one_base(bases, tmp_path):
    folders = [
        adapter_for(base("test.views", 1), tmp_path / name, seed)
        for seed, name in enumerate(("a", "b"))
    ]
    with pytest.raises(AdapterError, match=r"at most one for each base, got .*a and .*b"):
        load_adapters(folders, bases)


def test_a_folder_that_is_none(bases, tmp_path):
    with pytest.raises(AdapterError, match=r"passport\.json"):
        load_adapters([tmp_path / "none"], bases)
