"""What stage one saves: kept encodings, shared projections of keys and values, small adapters.

    python benchmarks/diffusion.py [--rounds 5] [--latent 24] [--published] [--device cpu]

Four figures come from one run on one machine; each is a ratio or a size, so that the machine's
speed does not matter:

* cached: the time of a LoRA training step whose pictures were encoded before, over that of a step
  that encodes them anew (six views by the VAE, the input by VAE and CLIP). At most 0.6.
* fused: the time of a step of the preset ``views-quickstart`` on ``facelift.tiny_views`` as
  ``mfl-adapt train`` takes it, each linear layer and its adapter as one operation, over that with
  peft's layers as they are, in float32 and under bf16 autocast. It is printed and not judged.
* shared: the time of sampling with our attention processor, which projects keys and values of
  view 0 once and attends to two views, over that with diffusers' own processor on the same UNet,
  which attends to one; per token attended to. At most 1. Beside it the same for the ``attn1``
  layers alone, and against diffusers' processor on the tokens of both views, which gives the same
  numbers and projects view 0 anew for every view.
* adapter: the size of an adapter of rank 16 on all attention layers of the published UNet, counted
  without its weights, in half precision. At most 7 MB.

Models have fresh weights. The default is the published structure at a fifth of its widths, with
its depth and its 64 channels per attention head, on latents of 24 x 24 instead of 64 x 64: there
attention and convolutions, and training and encoding, have about the shares of the work that they
have at the published sizes. Both counts are printed. ``--published`` takes the published sizes
themselves, for a GPU. Rounds alternate between the sides, and medians are compared; on a CPU they
are of one thread's processor time. The run ends with exit status 1 if a figure is missed.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from peft import inject_adapter_in_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import mfl_adapt as mfl
from mfl_adapt.adapter import attach
from mfl_adapt.config import load_config
from mfl_adapt.data import PreparedDataset, Split
from mfl_adapt.models.mvdiffusion.attention import ViewAttention, attn1_layers
from mfl_adapt.models.mvdiffusion.config import translate_config
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh, unet_source
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.parts import Parts
from mfl_adapt.models.mvdiffusion.training import draw_step, training_step
from mfl_adapt.models.mvdiffusion.unet import MVUNet
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import AdapterSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.synth import render_sample
from mfl_adapt.train.encodings import Encodings, join
from mfl_adapt.train.fast import fast_training, keep_freed_memory

MOST_CACHED, MOST_SHARED, MOST_MB = 0.6, 1.0, 7.0
VIEWS = 6
# Products of batches of matrices are attention's own; linear layers are counted under mm.
_ATTENTION = re.compile(r"attention|\bb?addbmm\b|\bbmm\b")
PUBLISHED = FreshSizes(
    latent=64,
    channels=(320, 640, 1280, 1280),
    heads=(5, 10, 20, 20),
    groups=32,
    vae_channels=(128, 256, 512, 512),
    vae_groups=32,
    embed_width=1024,
    tower_width=1280,
    crop=224,
    patch=14,
    text_width=1024,
)
FIFTH = FreshSizes(
    latent=24,
    channels=(64, 128, 256, 256),
    heads=(1, 2, 4, 4),
    groups=8,
    vae_channels=(24, 48, 104, 104),
    vae_groups=8,
    embed_width=208,
    tower_width=256,
    crop=112,
    patch=14,
    text_width=208,
)


def build_unet(sizes: FreshSizes) -> MVUNet:
    """Return a UNet of the published depth."""
    return MVUNet(translate_config({**unet_source(sizes), "layers_per_block": 2}))


def build_vae(sizes: FreshSizes) -> AutoencoderKL:
    """Return a VAE of the published depth."""
    levels = len(sizes.vae_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.vae_channels,
        layers_per_block=2,
        norm_num_groups=sizes.vae_groups,
        sample_size=sizes.latent * 2 ** (levels - 1),
        scaling_factor=0.18215,
    )


def build_image_encoder(sizes: FreshSizes) -> CLIPVisionModelWithProjection:
    """Return CLIP's picture tower of the published depth."""
    config = CLIPVisionConfig(
        image_size=sizes.crop,
        patch_size=sizes.patch,
        hidden_size=sizes.tower_width,
        intermediate_size=4 * sizes.tower_width,
        num_hidden_layers=32,
        num_attention_heads=16,
        projection_dim=sizes.embed_width,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config)


def build_parts(sizes: FreshSizes) -> Parts:
    """Return all parts; a small model's own networks are replaced by deep ones."""
    return replace(
        build_fresh(sizes),
        unet=build_unet(sizes),
        vae=build_vae(sizes),
        image_encoder=build_image_encoder(sizes),
    )


def lora() -> Any:
    """Return the adapter that is measured: rank 16 on all attention layers."""
    settings = {"r": 16, "lora_alpha": 16, "targets": "attention"}
    host = load_plugins(["lora_mvdiffusion"])
    return host.build(AdapterSpec, "lora_mvdiffusion.lora", settings)


def medians(sides: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, float]:
    """Median seconds of each side; the sides take turns, after one round that does not count."""
    # On a CPU one thread's own time, which other jobs on the machine do not change.
    clock = time.perf_counter if device == "cuda" else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            start = clock()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            if number:
                seconds[name].append(clock() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def one_sample(base: Any) -> OpenData:
    """One procedural mouse in the slots."""
    sample = render_sample("mice", 0, rig="slots", size=base.size)
    policy: Any = None
    return OpenData(PreparedDataset([sample]), Split((0,), ()), policy, base.contract)


def measure_cached(base: Any, rounds: int, device: str) -> float:
    """Time of a step with kept encodings over that of one that encodes."""
    data = one_sample(base)
    adapter = attach(base, lora(), seed=0)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-4)
    prompts = base.prompt_embeds
    generator = torch.Generator().manual_seed(0)

    def step(encodings: Any) -> None:
        encoded = join([encodings.of(0, np.ones(3, np.float32))], base.device)
        draws = draw_step(encoded, shared=generator, own=generator)
        result = training_step(encoded, prompts, draws, base.parts)
        loss = torch.nn.functional.mse_loss(result.pred.float(), result.target.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    cached, anew = (Encodings(base, data, keep=keep) for keep in (True, False))
    seconds = medians({"cached": lambda: step(cached), "anew": lambda: step(anew)}, rounds, device)
    adapter.remove()
    ratio = seconds["cached"] / seconds["anew"]
    print(
        f"cached    {seconds['cached']:.3f} s a step, {seconds['anew']:.3f} s with encoding: "
        f"ratio {ratio:.3f} (at most {MOST_CACHED})"
    )
    return ratio


def measure_fused(rounds: int, device: str) -> None:
    """Print the time of a step as training takes it over that with peft's layers.

    Freed memory is kept on both sides, so that only the layers differ.
    """
    config = load_config("views-quickstart").config
    assert config.adapter is not None
    base: Any = mfl.load_base("facelift.tiny_views")
    base.to(device)
    method: Any = load_plugins(config.plugins).build(
        AdapterSpec, config.adapter.use, config.adapter.settings
    )
    adapter = attach(base, method, seed=0)
    encodings, generator = Encodings(base, one_sample(base), keep=True), torch.Generator()
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-4)
    keep_freed_memory()
    base.module.train()

    def step(way: Callable[[], AbstractContextManager[None]], half: bool) -> None:
        one = encodings.of(0, np.ones(3, np.float32))
        encoded = join([one] * config.train.batch, base.device)
        draws = draw_step(encoded, shared=generator, own=generator)
        with way(), torch.autocast(device, torch.bfloat16, enabled=half):
            result = training_step(encoded, base.prompt_embeds, draws, base.parts)
            loss = torch.nn.functional.mse_loss(result.pred.float(), result.target.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for name, half in (("float32", False), ("bf16", True)):
        sides: dict[str, Callable[[], Any]] = {
            "fused": partial(step, partial(fast_training, adapter), half),
            "peft": partial(step, nullcontext, half),
        }
        seconds = medians(sides, rounds, device)
        print(
            f"fused     {name}: {seconds['fused']:.3f} s a step, {seconds['peft']:.3f} s with "
            f"peft's layers: ratio {seconds['fused'] / seconds['peft']:.3f}"
        )


def count_cached(name: str, sizes: FreshSizes) -> None:
    """Print which share of a training step's operations is left, and that of attention."""
    side, pixels = sizes.latent, sizes.latent * 2 ** (len(sizes.vae_channels) - 1)
    with torch.device("meta"):
        unet = build_unet(sizes).requires_grad_(requires_grad=False)
        vae, tower = build_vae(sizes), build_image_encoder(sizes)
        items = torch.zeros(VIEWS, 8, side, side, requires_grad=True)
        text = torch.zeros(VIEWS, 77, sizes.text_width)
        labels = torch.zeros(VIEWS, 2 * sizes.embed_width)
        pictures = torch.zeros(VIEWS + 1, 3, pixels, pixels)
        seen = torch.zeros(1, 3, sizes.crop, sizes.crop)
        times = torch.zeros(VIEWS)
    with FlopCounterMode(display=False) as step:
        unet(items, times, text, labels).sample.sum().backward()
    with FlopCounterMode(display=False) as encoding, torch.no_grad():
        vae.encode(pictures)
        tower(seen)
    left, saved = step.get_total_flops(), encoding.get_total_flops()
    kinds = step.get_flop_counts()["Global"]
    attention = sum(count for kind, count in kinds.items() if _ATTENTION.search(str(kind)))
    print(
        f"          {name}: {left / (left + saved):.3f} of {(left + saved) / 1e9:,.0f} Gflop are "
        f"left, of which {attention / left:.2f} in attention"
    )


@torch.no_grad()
def measure_shared(base: FrozenMVDiffusion, rounds: int, device: str) -> float:
    """Time of sampling per token attended to, ours over diffusers'."""
    unet, side = base.module, base.parts.unet.config.sample_size
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(2 * VIEWS, 8, side, side, generator=generator).to(base.device)
    width = unet.config.projection_class_embeddings_input_dim
    labels = torch.randn(2 * VIEWS, width, generator=generator).to(base.device)
    text = base.prompt_embeds.to(base.device).repeat(2, 1, 1)
    layers = [layer for _, layer in attn1_layers(unet)]
    tokens: dict[Any, Any] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda one, args: tokens.update({one: args[0]}))
        for layer in layers
    ]
    unet(items, 500, text, labels)
    for hook in hooks:
        hook.remove()
    ours, theirs = ViewAttention(unet.layout), AttnProcessor2_0()
    both = {one: torch.cat([_first(each), each], dim=1) for one, each in tokens.items()}

    def sample(processor: Any) -> None:
        for layer in layers:
            layer.set_processor(processor)
        # The parent's call, as ours refuses to run without its own processors.
        UNet2DConditionModel.forward(unet, items, 500, text, labels)

    seconds = medians(
        {
            "sampling, ours": lambda: sample(ours),
            "sampling, diffusers": lambda: sample(theirs),
            "attn1, ours": lambda: [ours(one, tokens[one]) for one in layers],
            "attn1, diffusers": lambda: [theirs(one, tokens[one]) for one in layers],
            "attn1, unshared": lambda: [theirs(one, tokens[one], both[one]) for one in layers],
        },
        rounds,
        device,
    )
    worst = max(
        float((ours(one, tokens[one]) - theirs(one, tokens[one], both[one])).abs().max())
        for one in layers
    )
    unet.install_views()
    # Ours attends to two views' tokens, diffusers' to one's.
    whole = seconds["sampling, ours"] / 2 / seconds["sampling, diffusers"]
    alone = seconds["attn1, ours"] / 2 / seconds["attn1, diffusers"]
    print(
        f"shared    {seconds['sampling, ours']:.3f} s a sampling step on 2 views' tokens, "
        f"{seconds['sampling, diffusers']:.3f} s on 1: {whole:.3f} per token (at most "
        f"{MOST_SHARED})"
    )
    print(
        f"          attn1 alone: {alone:.3f} per token; "
        f"{seconds['attn1, ours'] / seconds['attn1, unshared']:.3f} of the time of projecting "
        f"view 0 for every view, results within {worst:.1e}"
    )
    return whole


def _first(tokens: Any) -> Any:
    """Tokens of view 0 for every view."""
    return tokens.unflatten(0, (-1, VIEWS))[:, :1].expand(-1, VIEWS, -1, -1).flatten(0, 1)


def count_adapter() -> float:
    """Megabytes of an adapter on the published UNet in half precision."""
    with torch.device("meta"):
        unet = build_unet(PUBLISHED)
        inject_adapter_in_model(lora().peft_config(unet), unet)
    added = [one for name, one in unet.named_parameters() if "lora_" in name]
    frozen = sum(one.numel() for one in unet.parameters()) - sum(one.numel() for one in added)
    megabytes = 2 * sum(one.numel() for one in added) / 1e6
    print(
        f"adapter   r 16 on attention of {frozen:,} weights: {len(added)} tensors, "
        f"{megabytes:.2f} MB in float16 (at most {MOST_MB:g})"
    )
    return megabytes


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latent", type=int, help="Side of the latents; 24, published 64.")
    parser.add_argument("--published", action="store_true", help="Take the published sizes.")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = PUBLISHED if options.published else FIFTH
    sizes = replace(sizes, latent=options.latent or sizes.latent)
    base = FrozenMVDiffusion(build_parts(sizes), id="fresh").to(options.device)
    print(f"sizes     {base.size} px; {base.describe()['parts']}")
    cached = measure_cached(base, options.rounds, options.device)
    measure_fused(options.rounds, options.device)
    count_cached("these sizes", sizes)
    count_cached("published sizes", PUBLISHED)
    shared = measure_shared(base, options.rounds, options.device)
    megabytes = count_adapter()
    good = cached <= MOST_CACHED and shared <= MOST_SHARED and megabytes <= MOST_MB
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
