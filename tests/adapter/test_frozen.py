"""Names and digest of the base, and the check that only the adapter is trained."""

import hashlib

import pytest
import torch
from small_base import make_base, train_a_little
from torch import nn

from mfl_adapt.adapter import (
    adapter_parameters,
    attach,
    base_digest,
    base_tensors,
    check_frozen,
    digest_tensors,
    freeze_base,
)
from mfl_adapt.errors import AdapterError


def test_names_are_those_without_an_adapter(base, lora):
    plain = dict(base.module.state_dict())
    assert adapter_parameters(base.module) == {}
    attach(base, lora, seed=0)
    tensors = base_tensors(base.module)
    assert tensors.keys() == plain.keys()
    assert all(torch.equal(tensors[name], plain[name]) for name in plain)


def test_digest_ignores_the_adapter_and_sees_one_bit(base, lora):
    digest = base_digest(base.module)
    assert digest == base_digest(make_base().module)
    assert digest != base_digest(make_base(seed=4).module)
    train_a_little(attach(base, lora, seed=0))
    assert base_digest(base.module) == digest
    weight = base.module.transformer_layers[1].attn.fc.base_layer.weight
    weight.data[0, 0] = torch.nextafter(weight.data[0, 0], torch.tensor(9.0))
    assert base_digest(base.module) != digest


def test_digest_by_hand():
    tensors = {"b": torch.tensor([1, 2], dtype=torch.uint8), "a": torch.tensor(1.0)}
    # IEEE 754: 1.0 in float32 is 0x3f800000, little-endian.
    content = b"a float32 []\n\x00\x00\x80\x3f" + b"b uint8 [2]\n\x01\x02"
    assert digest_tensors(tensors) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_digest_depends_on_name_type_shape_and_values(dtype):
    ramp = torch.arange(6, dtype=dtype)
    digests = [
        digest_tensors(tensors)
        for tensors in (
            {"a": ramp},
            {"b": ramp},
            {"a": ramp.reshape(2, 3)},
            {"a": ramp.double()},
            {"a": ramp + 1},
            {"a": ramp, "b": ramp},
        )
    ]
    assert len(set(digests)) == len(digests)
    transposed = ramp.reshape(3, 2).T.contiguous().T
    assert digest_tensors({"a": transposed}) == digest_tensors({"a": ramp.reshape(3, 2)})


def test_saved_buffers_belong_to_the_base_and_caches_do_not():
    module = nn.Module()
    module.register_buffer("mean", torch.zeros(2))
    module.register_buffer("cache", torch.zeros(2), persistent=False)
    assert list(base_tensors(module)) == ["mean"]


def test_freeze_and_check(base, lora):
    attach(base, lora, seed=0)
    freeze_base(base.module, train_adapter=False)
    check_frozen(base.module, train_adapter=False)
    with pytest.raises(AdapterError, match=r"lora_A.* with this one frozen"):
        check_frozen(base.module, train_adapter=True)
    freeze_base(base.module, train_adapter=True)
    norm = base.module.input_layer_norm.weight
    norm.requires_grad_()
    with pytest.raises(AdapterError, match=r"input_layer_norm.weight: .* this one trained"):
        check_frozen(base.module, train_adapter=True)
    norm.requires_grad_(requires_grad=False)
    norm.grad = torch.ones_like(norm)
    with pytest.raises(AdapterError, match=r"input_layer_norm.weight: expected no gradient"):
        check_frozen(base.module, train_adapter=True)
    freeze_base(base.module, train_adapter=True)
    check_frozen(base.module, train_adapter=True)
