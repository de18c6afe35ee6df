"""LoRA on GS-LRM: which layers it takes, and what happens when a pattern takes none."""

import subprocess
import sys

import peft
import pytest
import torch
from mfl_adapt_lora_gslrm import register_components
from mfl_adapt_lora_gslrm.config import LoraConfig
from mfl_adapt_lora_gslrm.lora import Lora
from pydantic import ValidationError

from mfl_adapt.errors import AdapterError
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.model import GSLRM


def network(d=32, n_layer=2):
    with torch.device("meta"):
        return GSLRM(GSLRMConfig(image_size=16, d=d, d_head=16, n_layer=n_layer))


def targets(module, **settings):
    return Lora(LoraConfig(**settings)).peft_config(module).target_modules


def in_each_layer(*names):
    return {f"transformer_layers.{index}.{name}" for index in range(2) for name in names}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("all-linear", ("attn.to_qkv", "attn.fc", "mlp.mlp.0", "mlp.mlp.2")),
        ("attention", ("attn.to_qkv", "attn.fc")),
        ("mlp", ("mlp.mlp.0", "mlp.mlp.2")),
        (["to_qkv", "mlp.0"], ("attn.to_qkv", "mlp.mlp.0")),
    ],
)
def test_groups_and_patterns(wanted, names):
    assert targets(network(), targets=wanted) == in_each_layer(*names)


def test_patterns_reach_single_layers_and_heads():
    found = targets(network(), targets=["transformer_layers.1.*", "*_decoder.*", "fc"])
    assert sorted(found) == [
        "pixel_gaussian_decoder.1",
        "transformer_layers.0.attn.fc",
        "transformer_layers.1.attn.fc",
        "transformer_layers.1.attn.to_qkv",
        "transformer_layers.1.mlp.mlp.0",
        "transformer_layers.1.mlp.mlp.2",
    ]
    found = targets(network(), targets=["gaussian_upsampler.linear", "patch_embedder.1"])
    assert sorted(found) == [
        "gaussian_upsampler.linear",
        "patch_embedder.1",
    ]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("attn.to_qvk", r"Did you mean 'attn.to_qkv'\?"),
        ("to_qkw", r"Did you mean 'to_qkv'\?"),
        ("norm1", r"Known: attn.fc, attn.to_qkv, "),
        ("transformer_layers.7.*", r"got 'transformer_layers.7.\*'"),
        ("qkv", r"got 'qkv'"),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error(pattern, hint):
    with pytest.raises(AdapterError, match=f"lora_gslrm.lora: expected targets .*{hint}"):
        targets(network(), targets=["to_qkv", pattern])


def test_no_pattern_is_an_error():
    with pytest.raises(AdapterError, match="expected at least one pattern in targets, got none"):
        targets(network(), targets=[])


def test_settings_reach_peft_in_its_own_words():
    config = Lora(LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, use_rslora=True)).peft_config(
        network()
    )
    assert isinstance(config, peft.LoraConfig)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.1)
    assert config.use_rslora
    assert config.bias == "none"


def test_defaults_fit_the_shipped_size():
    assert LoraConfig().model_dump(exclude_none=True) == {
        "method": "lora",
        "r": 16,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        "lora_plus_ratio": 1.0,
        "init": "default",
        "targets": "all-linear",
    }
    module = network(d=192, n_layer=6)
    config = Lora(LoraConfig()).peft_config(module)
    peft.inject_adapter_in_model(config, module, low_cpu_mem_usage=True)
    numbers = sum(p.numel() for name, p in module.named_parameters() if "lora_" in name)
    # Per layer 16 x ((192 + 576) + (192 + 192) + 2 x (192 + 768)), six layers; 4 bytes each.
    assert numbers == 6 * 16 * (768 + 384 + 1920)
    assert numbers * 4 < 2e6


@pytest.mark.parametrize(
    "settings", [{"r": 0}, {"lora_dropout": 1.0}, {"lora_alfa": 4}, {"targets": "everything"}]
)
def test_settings_are_checked(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        LoraConfig(**settings)


def test_listing_needs_no_torch():
    (spec,) = register_components()
    assert (spec.name, spec.config) == ("lora", LoraConfig)
    code = (
        "import sys, mfl_adapt_lora_gslrm as p; p.register_components(); "
        "sys.exit('torch' in sys.modules or 'peft' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
