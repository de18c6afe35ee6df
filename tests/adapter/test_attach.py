"""Attach, turn down, merge, remove: the base must come through all of it bit for bit."""

import peft
import pytest
import torch
from small_base import Method, make_base, make_lora, output, train_a_little

from mfl_adapt.adapter import attach, base_digest, check_merge, measure_effect
from mfl_adapt.errors import AdapterError, RangeError


def test_a_fresh_adapter_changes_nothing(base, lora):
    before = output(base)
    attach(base, lora, seed=0)
    assert torch.equal(output(base), before)


def test_exactly_the_adapter_is_trained(base, lora):
    names = {name for name, _ in base.module.named_parameters()}
    adapter = attach(base, lora, seed=0)
    trained = {name for name, p in base.module.named_parameters() if p.requires_grad}
    assert trained == set(adapter.named_parameters())
    assert {name.replace(".base_layer", "") for name in names} >= names
    assert all("lora_" in name for name in trained)
    # Two layers, each: qkv 4 x (32 + 96), fc 4 x (32 + 32), two of the MLP 4 x (32 + 128).
    assert adapter.num_parameters() == 2 * 4 * (128 + 64 + 160 + 160)
    assert len(adapter.layers) == 8


def test_training_moves_the_adapter_and_leaves_the_base(base, lora):
    before, digest = output(base), base_digest(base.module)
    adapter = attach(base, lora, seed=0)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        output(base).square().mean().backward()
        optimizer.step()
    own = set(adapter.named_parameters())
    assert all(p.grad is None for n, p in base.module.named_parameters() if n not in own)
    assert all(p.grad is not None for p in adapter.parameters())
    assert base_digest(base.module) == digest
    assert measure_effect(adapter, lambda: output(base)) > 1e-4
    adapter.remove()
    assert torch.equal(output(base), before)
    assert base_digest(base.module) == digest


def test_the_seed_decides_and_the_global_state_stays(base, lora):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = attach(base, lora, seed=7).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again = attach(make_base(), make_lora(), seed=7).state_dict()
    other = attach(make_base(), make_lora(), seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_strength_scales_the_update(base):
    # One linear layer at the very end: the change of its output is linear in the strength.
    adapter = attach(base, make_lora(target_modules=["linear"]), seed=0)
    train_a_little(adapter)
    layer = base.module.gaussian_upsampler.linear
    tokens = torch.rand(1, 2, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = layer(tokens)
        adapter.strength = 0.0
        bare = layer(tokens)
        adapter.strength = 0.25
        quarter = layer(tokens)
        adapter.strength = 1.0
        assert torch.equal(layer(tokens), whole)
    torch.testing.assert_close(quarter, bare + 0.25 * (whole - bare))
    assert not torch.equal(whole, bare)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_strength_one_is_what_the_method_chose(base, use_rslora):
    adapter = attach(base, make_lora(r=4, lora_alpha=8, use_rslora=use_rslora), seed=0)
    adapter.strength = 0.5
    adapter.strength = 1.0
    layer = base.module.transformer_layers[0].attn.fc
    assert layer.scaling["default"] == (4.0 if use_rslora else 2.0)


def test_strength_zero_is_the_base_bit_for_bit(base, lora):
    before = output(base)
    adapter = attach(base, lora, seed=0)
    train_a_little(adapter)
    adapted = output(base)
    assert not torch.equal(adapted, before)
    adapter.strength = 0
    assert torch.equal(output(base), before)
    adapter.strength = 1
    assert torch.equal(output(base), adapted)
    with torch.no_grad():
        next(iter(adapter.parameters())).fill_(float("inf"))
    with adapter.disabled():
        assert adapter.strength == 0
        assert torch.equal(output(base), before)
    assert adapter.strength == 1


def test_turning_it_off_leaves_the_gradients_as_they_were(base, lora):
    adapter = attach(base, lora, seed=0)
    for flag in (True, False):
        for parameter in adapter.parameters():
            parameter.requires_grad_(flag)
        with adapter.disabled():
            assert all(p.requires_grad is flag for p in adapter.parameters())
        assert all(p.requires_grad is flag for p in adapter.parameters())


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_strength_is_a_finite_number(base, lora, value):
    adapter = attach(base, lora, seed=0)
    with pytest.raises(RangeError, match=r"adapter.strength: expected a finite number.* got"):
        adapter.strength = value


def test_a_method_without_a_scale_knows_on_and_off(base):
    method = Method(peft.IA3Config(target_modules=["fc"], feedforward_modules=[]))
    before = output(base)
    adapter = attach(base, method, seed=0)
    train_a_little(adapter)
    with pytest.raises(AdapterError, match="expected 0 or 1"):
        adapter.strength = 0.5
    adapter.strength = 0
    assert torch.equal(output(base), before)
    adapter.strength = 1
    assert not torch.equal(output(base), before)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_merged_and_unmerged_agree(base, lora, strength):
    digest = base_digest(base.module)
    adapter = attach(base, lora, seed=0)
    train_a_little(adapter)
    adapter.strength = strength
    assert check_merge(adapter, lambda: output(base)) <= 1e-5
    assert base_digest(base.module) == digest
    adapter.merge()
    assert base_digest(base.module) != digest
    adapter.remove()
    assert base_digest(base.module) == digest


def test_merging_has_an_order(base, lora):
    adapter = attach(base, lora, seed=0)
    with pytest.raises(AdapterError, match="expected a merged adapter"):
        adapter.unmerge()
    adapter.merge()
    with pytest.raises(AdapterError, match=r"for merging.*Call unmerge"):
        adapter.merge()
    with pytest.raises(AdapterError, match=r"changing the strength.*Call unmerge"):
        adapter.strength = 0.5
    adapter.unmerge()
    adapter.strength = 0
    with pytest.raises(AdapterError, match="strength above 0"):
        adapter.merge()


def test_a_merge_that_overflows_leaves_the_base_alone(base, lora):
    digest = base_digest(base.module)
    adapter = attach(base, lora, seed=0)
    with torch.no_grad():
        adapter.parameters()[-1].fill_(float("nan"))
    with pytest.raises(AdapterError, match=r"transformer_layers.1.mlp.mlp.2: expected finite"):
        adapter.merge()
    assert base_digest(base.module) == digest
    adapter.strength = 0.5


def test_an_adapter_without_effect_is_refused(base, lora):
    adapter = attach(base, lora, seed=0)
    with pytest.raises(AdapterError, match=r"expected an effect .* got a largest difference of 0"):
        measure_effect(adapter, lambda: output(base))


def test_a_merge_that_differs_is_refused(base, lora):
    adapter = attach(base, lora, seed=0)
    train_a_little(adapter)
    with pytest.raises(AdapterError, match="within 0 of the adapted one"):
        check_merge(adapter, lambda: output(base), tolerance=0)


def test_dropout_follows_the_mode_of_the_base(base):
    adapter = attach(base, make_lora(lora_dropout=0.5), seed=0)
    train_a_little(adapter)
    assert torch.equal(output(base), output(base))
    base.module.train()
    assert not torch.equal(output(base), output(base))


def test_adapter_weights_are_float32_on_a_half_precision_base(base, lora):
    base.module.bfloat16()
    adapter = attach(base, lora, seed=0)
    assert {p.dtype for p in adapter.parameters()} == {torch.float32}


def test_after_removal_the_base_takes_another(base, lora):
    names = list(base.module.state_dict())
    adapter = attach(base, lora, seed=0)
    adapter.remove()
    assert list(base.module.state_dict()) == names
    with pytest.raises(AdapterError, match="one that was removed"):
        adapter.strength = 0.5
    with pytest.raises(AdapterError, match="one that was removed"):
        adapter.state_dict()
    attach(base, make_lora(r=2), seed=0)


def test_refusals_name_the_cause(base, lora):
    with pytest.raises(AdapterError, match=r"got 'a.b'"):
        attach(base, lora, name="a.b", seed=0)
    before = list(base.module.state_dict())
    with pytest.raises(AdapterError, match=r"test.small: expected settings.*nonesuch"):
        attach(base, make_lora(target_modules=["nonesuch"]), seed=0)
    assert list(base.module.state_dict()) == before


def test_stock_peft_wraps_the_same_method(base, lora):
    wrapped = peft.get_peft_model(base.module, lora.peft_config(base.module))
    trained = {name for name, p in wrapped.named_parameters() if p.requires_grad}
    ours = attach(make_base(), make_lora(), seed=0).state_dict()
    assert {name.replace(".default", "") for name in trained} == set(ours)
