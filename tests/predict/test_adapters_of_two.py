"""Each adapter finds its base."""

import peft
import pytest
import torch

from mfl_adapt.adapter import AdapterChoice, attach, get_adapters, read_adapter, save
from mfl_adapt.errors import AdapterError, RangeError
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.predict.adapters import describe_adapters, load_adapters


class Lora:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, target_modules=["to_qkv"])


class Dora:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, use_dora=True, target_modules=["to_qkv"])


def base(name, layers):
    config = GSLRMConfig(image_size=16, patch_size=8, d=32, d_head=16, n_layer=layers)
    model = GSLRM(config, generator=torch.Generator().manual_seed(layers))
    return FrozenGSLRM(model, id=name, sha256=str(layers) * 64)


@pytest.fixture
def bases():
    return [base("test.views", 1), base("test.gaussians", 2)]


def adapter_for(of, folder, seed=0):
    adapter = attach(of, Lora(), seed=seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.1)
    return save(adapter, folder, passport={})


def test_each_goes_to_its_own_base_whatever_the_order(bases, tmp_path):
    folders = [
        adapter_for(base("test.gaussians", 2), tmp_path / "g"),
        adapter_for(base("test.views", 1), tmp_path / "v"),
    ]
    found = load_adapters(folders, bases)
    assert {name: [one.base for one in several] for name, several in found.items()} == {
        "test.gaussians": [bases[1]],
        "test.views": [bases[0]],
    }
    described = describe_adapters(found)
    assert set(described) == {"test.gaussians", "test.views"}
    for (one,) in described.values():
        assert (len(one["adapter_hash"]), one["strength"]) == (64, 1.0)


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


def test_several_for_one_base_each_at_its_strength(bases, tmp_path):
    folders = [
        adapter_for(base("test.views", 1), tmp_path / name, seed)
        for seed, name in enumerate(("a", "b"))
    ]
    choices = [folders[0], AdapterChoice(folders[1], 0.25)]
    found = load_adapters(choices, bases)
    assert list(found) == ["test.views"]
    hashes = [read_adapter(folder).passport["adapter_hash"] for folder in folders]
    assert describe_adapters(found) == {
        "test.views": [
            {"adapter_hash": hashes[0], "strength": 1.0},
            {"adapter_hash": hashes[1], "strength": 0.25},
        ]
    }
    assert list(get_adapters(bases[0]).values()) == list(found["test.views"])
    assert get_adapters(bases[1]) == {}


def test_one_that_is_refused_takes_the_others_with_it(bases, tmp_path):
    folder = adapter_for(base("test.views", 1), tmp_path / "a")
    with pytest.raises(RangeError, match="got -1"):
        load_adapters([folder, AdapterChoice(folder, -1.0)], bases)
    assert get_adapters(bases[0]) == {}


def test_a_folder_that_is_none(bases, tmp_path):
    with pytest.raises(AdapterError, match=r"passport\.json"):
        load_adapters([tmp_path / "none"], bases)


def test_a_refusal_says_which_of_several_it_is(bases, tmp_path):
    made = base("test.views", 1)
    dora = attach(made, Dora(), seed=0)
    with torch.no_grad():
        for parameter in dora.parameters():
            parameter.add_(0.1)
    folder = save(dora, tmp_path / "dora", passport={})
    plain = adapter_for(base("test.views", 1), tmp_path / "plain")
    with pytest.raises(AdapterError, match=r"dora: adapter\.strength: expected 0 or 1, as DORA"):
        load_adapters([AdapterChoice(plain, 0.5), AdapterChoice(folder, 0.5)], bases)
