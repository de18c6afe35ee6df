"""What an adapter adds to weights: by the files alone, and through the base."""

import math

import numpy as np
import pytest
import torch
from made_adapters import METHODS, TARGETS, make_stored, merged_by_peft
from peft import IA3Config, LoraConfig
from small_base import make_base
from small_views import make_views_base

from mfl_adapt.adapter import attach, base_digest, load, read_adapter, save
from mfl_adapt.adapter.updates import (
    LowRank,
    Update,
    from_low_rank,
    inner,
    is_plain_lora,
    read_updates,
    total,
)
from mfl_adapt.errors import AdapterError


def never(stored):
    raise AssertionError("the files of a plain LoRA say enough")


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
def test_an_update_is_what_peft_merges(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    updates = read_updates(stored, lambda _: make_base())
    base = make_base()
    wanted = merged_by_peft(base, load(base, stored.folder))
    assert updates.keys() == wanted.keys()
    for name, update in updates.items():
        assert update.left.dtype == torch.float64
        assert float(update.norm()) > 0
        # What peft adds is rounded to float32 beside weights of about 1.
        torch.testing.assert_close(update.matrix.float(), wanted[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_a_plain_lora_needs_no_base(tmp_path, method):
    assert read_updates(make_stored(tmp_path / "a", method), never)


def test_a_base_is_bare_again_after_it_was_used(tmp_path):
    stored, base = make_stored(tmp_path / "a", "oft"), make_base()
    before = base_digest(base.module)
    read_updates(stored, lambda _: base)
    assert base_digest(base.module) == before
    assert [type(one).__name__ for one in base.module.modules()] == [
        type(one).__name__ for one in make_base().module.modules()
    ]


def test_factors_of_rslora_and_patterns_by_hand(tmp_path):
    stored = make_stored(tmp_path / "a", "rslora")
    updates = read_updates(stored, never)
    for name, update in updates.items():
        down, up = (
            stored.tensors[f"base_model.model.{name}.lora_{letter}.weight"].double().numpy()
            for letter in "AB"
        )
        rank = 2 if name.endswith("to_qkv") else 4
        alpha = 3 if name.endswith("mlp.0") else 8
        assert down.shape[0] == rank
        np.testing.assert_allclose(update.matrix, alpha / math.sqrt(rank) * up @ down, rtol=1e-12)


def test_a_convolution_gives_a_matrix_of_its_flat_kernel(tmp_path):
    base = make_views_base()
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["conv_in"])
    adapter = attach(base, _Method(config), seed=0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
            )
    save(adapter, tmp_path / "a", passport={})
    update = read_updates(read_adapter(tmp_path / "a"), never)["conv_in"]
    weight = base.module.conv_in.get_base_layer().weight
    assert update.shape == tuple(weight.shape)
    wanted = base.module.conv_in.get_delta_weight("default").double()
    torch.testing.assert_close(update.matrix.reshape(update.shape), wanted, rtol=1e-5, atol=1e-5)


def test_the_update_of_a_bias_is_named(tmp_path):
    base = make_views_base()
    adapter = attach(
        base, _Method(IA3Config(target_modules=["attn1.to_out.0"], feedforward_modules=[])), seed=0
    )
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.fill_(2.0)
    save(adapter, tmp_path / "a", passport={})
    updates = read_updates(read_adapter(tmp_path / "a"), lambda _: make_views_base())
    name = next(one for one in updates if one.endswith(".bias"))
    layer = make_views_base().module.get_submodule(name.removesuffix(".bias"))
    # Twice the activations: weight and bias grow by themselves.
    torch.testing.assert_close(updates[name].matrix[:, 0], layer.bias.double())
    torch.testing.assert_close(updates[name.removesuffix(".bias")].matrix, layer.weight.double())


def test_factors_and_matrix_agree():
    thin = Update(random(7, 3), random(3, 5, seed=1), (7, 5))
    full = Update(thin.matrix, None, (7, 5))
    other = Update(random(7, 2, seed=2), random(2, 5, seed=3), (7, 5))
    assert thin.norm() == pytest.approx(np.linalg.norm(full.matrix.numpy()), rel=1e-12)
    assert full.norm() == pytest.approx(thin.norm(), rel=1e-12)
    wanted = float((thin.matrix * other.matrix).sum())
    assert inner(thin, other) == pytest.approx(wanted, rel=1e-12)
    assert inner(full, other) == pytest.approx(wanted, rel=1e-12)
    for parts in ([thin, other], [full, other]):
        torch.testing.assert_close(total(parts).matrix, thin.matrix + other.matrix)
    assert (thin.rank, full.rank, total([thin, other]).rank) == (3, 5, 5)


@pytest.mark.parametrize("as_matrix", [False, True])
def test_truncation_is_the_best_of_its_rank(as_matrix):
    update = Update(random(7, 4), random(4, 5, seed=1), (7, 5))
    matrix = update.matrix.numpy()
    if as_matrix:
        update = Update(update.matrix, None, (7, 5))
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(update.svd()[1][:4], values[:4], rtol=1e-10)
    low = update.truncated(lambda _: 2)
    assert (low.rank, low.alpha, low.down.dtype) == (2, 2.0, torch.float32)
    error = np.linalg.norm(from_low_rank(low).matrix.numpy() - matrix)
    # Eckart and Young: no other matrix of rank 2 is nearer.
    assert error == pytest.approx(np.linalg.norm(values[2:]), rel=1e-5)


def test_low_rank_matrices_of_a_convolution():
    low = LowRank(torch.ones(2, 3, 3, 3), torch.ones(4, 2, 1, 1), 1.0)
    update = from_low_rank(low)
    assert update.shape == (4, 3, 3, 3)
    torch.testing.assert_close(update.matrix, torch.ones(4, 27, dtype=torch.float64))
    again = update.truncated(lambda _: 1)
    assert (tuple(again.down.shape), tuple(again.up.shape)) == ((1, 3, 3, 3), (4, 1, 1, 1))


@pytest.mark.parametrize("variant", [{"use_dora": True}, {"lora_bias": True}])
def test_variants_of_lora_are_not_plain(variant):
    assert is_plain_lora(LoraConfig(target_modules=TARGETS))
    assert not is_plain_lora(LoraConfig(target_modules=TARGETS, **variant))


def test_a_matrix_without_partner_is_refused(tmp_path):
    stored = make_stored(tmp_path / "a")
    name = min(one for one in stored.tensors if "lora_B" in one)
    del stored.tensors[name]
    with pytest.raises(AdapterError, match=r"expected pairs of lora_A.weight and lora_B.weight"):
        read_updates(stored, never)


def test_another_base_is_refused_where_one_is_needed(tmp_path):
    stored = make_stored(tmp_path / "a", "oft")
    with pytest.raises(AdapterError, match="sha256"):
        read_updates(stored, lambda _: make_base(sha256="b" * 64))


class _Method:
    def __init__(self, config):
        self.config = config

    def peft_config(self, module):
        return self.config
