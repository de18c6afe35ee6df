"""LoRA on the UNet of multi-view diffusion: layers, sizes, refusals, and what it leaves alone."""

import subprocess
import sys

import peft
import pytest
import torch
from mfl_adapt_lora_mvdiffusion import register_components
from mfl_adapt_lora_mvdiffusion.config import LoraConfig
from mfl_adapt_lora_mvdiffusion.lora import Lora
from pydantic import ValidationError

from mfl_adapt import adapter as adapters
from mfl_adapt.errors import AdapterError
from mfl_adapt.models.mvdiffusion.config import PUBLISHED_CLASS, translate_config
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.unet import MVUNet

PUBLISHED_UNET = {
    "_class_name": PUBLISHED_CLASS,
    "in_channels": 8,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlockMV2D"] * 3 + ["DownBlock2D"],
    "mid_block_type": "UNetMidBlockMV2DCrossAttn",
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlockMV2D"] * 3,
    "layers_per_block": 2,
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 2048,
    "num_views": 6,
    "multiview_attention": True,
    "sparse_mv_attention": True,
    "selfattn_block": "custom",
    "cd_attention_mid": False,
    "cd_attention_last": False,
    "addition_downsample": False,
}


@pytest.fixture(scope="module")
def published():
    """The published network without memory for its weights."""
    with torch.device("meta"):
        return MVUNet(translate_config(PUBLISHED_UNET))


def base():
    return FrozenMVDiffusion(build_fresh(seed=3), id="facelift.mvdiffusion")


def layers_of(module, **settings):
    return sorted(Lora(LoraConfig(**settings)).peft_config(module).target_modules)


def values_per_rank(module, names):
    """A low-rank pair on a layer holds as many values per rank as it has inputs and outputs."""
    shapes = [module.get_parameter(f"{name}.weight").shape for name in names]
    return sum(shape[0] + shape[1:].numel() for shape in shapes)


def test_the_published_network_has_its_published_size(published):
    assert sum(one.numel() for one in published.parameters()) == 870_184_644


@pytest.mark.parametrize(
    ("targets", "count", "values"),
    [
        ("multiview", 64, 99_840),
        ("cross", 64, 107_648),
        ("attention", 128, 207_488),
        (["attention", "ff.net.0.proj", "ff.net.2"], 160, 207_488 + 174_720),
        (["attention", "proj_in", "proj_out"], 160, 207_488 + 49_920),
        # conv_in maps 8 channels of 3 x 3; the embedding 2048 -> 1280 -> 1280.
        ("conditioning", 3, 8 * 9 + 320 + 2048 + 1280 + 1280 + 1280),
    ],
)
def test_layers_and_values_per_rank_at_full_size(published, targets, count, values):
    names = layers_of(published, targets=targets)
    assert len(names) == count
    assert values_per_rank(published, names) == values


def test_rank_16_on_all_attention_fits_into_seven_megabytes_of_half_precision(published):
    config = LoraConfig()
    assert (config.r, config.targets) == (16, "attention")
    assert 2 * config.r * values_per_rank(published, layers_of(published)) <= 7e6


def test_groups_and_patterns_may_be_mixed():
    module = base().module
    mixed = layers_of(module, targets=["conditioning", "mid_block.*.attn2.to_k"])
    assert mixed == [
        "class_embedding.linear_1",
        "class_embedding.linear_2",
        "conv_in",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
    ]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("atention", r"Did you mean 'attention'\?"),
        ("attn1.to_queries", r"Did you mean 'attn1.to_q'\?"),
        ("mid_block.*.attn3.*", r"got 'mid_block.\*.attn3.\*'"),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error(published, pattern, hint):
    with pytest.raises(AdapterError, match=f"lora_mvdiffusion.lora: expected targets .*{hint}"):
        layers_of(published, targets=["cross", pattern])


def test_no_pattern_is_an_error(published):
    with pytest.raises(AdapterError, match="expected at least one pattern in targets, got none"):
        layers_of(published, targets=[])


@pytest.mark.parametrize("value", [1, -1, "random", None, True])
def test_another_reference_is_refused_with_the_reason(value):
    with pytest.raises(ValidationError, match=r"expected 0, got .*learns to copy its input"):
        LoraConfig(reference_view_idx=value)


def test_the_first_view_as_reference_may_be_written_out():
    assert LoraConfig(reference_view_idx=0) == LoraConfig()


def test_settings_reach_peft_in_its_own_words(published):
    settings = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, use_rslora=True)
    config = Lora(settings).peft_config(published)
    assert isinstance(config, peft.LoraConfig)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.1)
    assert config.use_rslora


def views(model):
    """What the UNet makes of two fixed objects."""
    generator = torch.Generator().manual_seed(0)
    unet = model.module
    inputs = torch.randn(12, 8, 8, 8, generator=generator)
    prompts = torch.randn(12, 77, unet.config.cross_attention_dim, generator=generator)
    width = unet.config.projection_class_embeddings_input_dim
    labels = torch.randn(12, width, generator=generator)
    with torch.no_grad():
        return unet(inputs, 500, prompts, class_labels=labels).sample


def attach(model, **settings):
    return adapters.attach(model, Lora(LoraConfig(**settings)), seed=0)


def shake(adapter):
    """Give every weight a value, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


def test_fresh_it_changes_nothing_and_off_it_is_the_base_bit_for_bit():
    model = base()
    expected = views(model)
    adapter = attach(model, targets=["attention", "conditioning"])
    assert torch.equal(views(model), expected)
    shake(adapter)
    assert (views(model) - expected).abs().max() > 0.01
    adapter.strength = 0.0
    assert torch.equal(views(model), expected)


def test_merged_is_unmerged_and_unmerged_again_bit_for_bit():
    model = base()
    adapter = attach(model, targets=["attention", "conditioning"])
    shake(adapter)
    apart = views(model)
    adapter.merge()
    torch.testing.assert_close(views(model), apart, atol=1e-5, rtol=1e-4)
    adapter.unmerge()
    assert torch.equal(views(model), apart)


def test_saved_and_loaded_it_makes_the_same_views(tmp_path):
    model = base()
    adapter = attach(model)
    shake(adapter)
    adapters.save(adapter, tmp_path / "a", passport={})
    other = base()
    loaded = adapters.load(other, tmp_path / "a")
    assert torch.equal(views(other), views(model))
    loaded.remove()
    assert torch.equal(views(other), views(base()))


def test_every_weight_of_it_learns_and_none_of_the_base():
    model = base()
    adapter = attach(model, targets=["attention", "conditioning"])
    shake(adapter)
    unet = model.module
    width = unet.config.projection_class_embeddings_input_dim
    generator = torch.Generator().manual_seed(0)
    made = unet(
        torch.randn(6, 8, 8, 8, generator=generator),
        500,
        torch.randn(6, 77, unet.config.cross_attention_dim, generator=generator),
        class_labels=torch.randn(6, width, generator=generator),
    ).sample
    made.square().mean().backward()
    assert all(float(one.grad.abs().max()) > 0 for one in adapter.parameters())
    adapters.check_frozen(unet, train_adapter=True)


@pytest.mark.parametrize("settings", [{"r": 0}, {"lora_dropout": 1.0}, {"lora_alfa": 4}])
def test_settings_are_checked(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        LoraConfig(**settings)


def test_listing_needs_no_torch():
    (spec,) = register_components()
    assert (spec.name, spec.config) == ("lora", LoraConfig)
    code = (
        "import sys, mfl_adapt_lora_mvdiffusion as p; p.register_components(); "
        "sys.exit('torch' in sys.modules or 'peft' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
