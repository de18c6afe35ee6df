"""A model of the published structure with fresh weights and sizes of your choice.

It is where the training of a small model starts, and what tests run on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from mfl_adapt.models.mvdiffusion.config import PUBLISHED_CLASS, translate_config
from mfl_adapt.models.mvdiffusion.parts import Normalizer, Parts, check_parts
from mfl_adapt.models.mvdiffusion.prompts import TOKENS
from mfl_adapt.models.mvdiffusion.unet import MVUNet

_START, _END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class FreshSizes:
    """Sizes of a model.

    Attributes:
        latent: Side of the latents; a picture has twice as many pixels for each resolution of the
            VAE after the first.
        num_views: Views per object, V.
        channels: Width of the UNet at each resolution; the last one has no attention.
        heads: Attention heads at each resolution.
        groups: Groups of its normalisation.
        vae_channels: Width of the VAE at each of its resolutions.
        vae_groups: Groups of its normalisation.
        embed_width: Width of image embeddings, P.
        tower_width: Width of CLIP's picture tower.
        crop: Side of the pictures that it sees in pixels.
        patch: Side of its patches in pixels.
        text_width: Width of prompt embeddings, D.
    """

    latent: int = 8
    num_views: int = 6
    channels: tuple[int, ...] = (32, 64)
    heads: tuple[int, ...] = (2, 4)
    groups: int = 8
    vae_channels: tuple[int, ...] = (8, 16, 16, 16)
    vae_groups: int = 4
    embed_width: int = 16
    tower_width: int = 32
    crop: int = 32
    patch: int = 8
    text_width: int = 32


def build_fresh(sizes: FreshSizes | None = None, *, seed: int = 0) -> Parts:
    """Build all parts with fresh weights, float32, on the CPU.

    Args:
        sizes: None is a model that a test can run.
        seed: Decides the weights; the global random state stays as it is.

    Raises:
        CheckpointError: If the sizes do not fit each other.
    """
    sizes = sizes or FreshSizes()
    width = sizes.embed_width
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        parts = Parts(
            unet=MVUNet(translate_config(unet_source(sizes))),
            vae=_build_vae(sizes),
            image_encoder=_build_image_encoder(sizes),
            feature_extractor=CLIPImageProcessorPil(
                size={"shortest_edge": sizes.crop},
                crop_size={"height": sizes.crop, "width": sizes.crop},
            ),
            normalizer=Normalizer(torch.zeros(1, width), torch.ones(1, width)),
            noising=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
                prediction_type="v_prediction",
            ),
            text_encoder=_build_text_encoder(sizes),
            tokenizer=build_tokenizer(),
        )
    check_parts(parts, Path("fresh model"))
    return parts


def unet_source(sizes: FreshSizes) -> dict[str, Any]:
    """Return a UNet's configuration as it is published."""
    attending = len(sizes.channels) - 1
    return {
        "_class_name": PUBLISHED_CLASS,
        "sample_size": sizes.latent,
        "in_channels": 8,
        "out_channels": 4,
        "down_block_types": ["CrossAttnDownBlockMV2D"] * attending + ["DownBlock2D"],
        "mid_block_type": "UNetMidBlockMV2DCrossAttn",
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlockMV2D"] * attending,
        "block_out_channels": list(sizes.channels),
        "layers_per_block": 1,
        "norm_num_groups": sizes.groups,
        "cross_attention_dim": sizes.text_width,
        "attention_head_dim": list(sizes.heads),  # head counts, by a historic misnomer
        "use_linear_projection": True,
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 2 * sizes.embed_width,
        "num_views": sizes.num_views,
        "cd_attention_mid": False,
        "cd_attention_last": False,
        "multiview_attention": True,
        "sparse_mv_attention": True,
        "selfattn_block": "custom",
        "addition_downsample": False,
    }


def build_tokenizer() -> CLIPTokenizer:
    """Return a tokenizer that spells every word in bytes."""
    letters = [symbol + end for end in ("", "</w>") for symbol in _byte_symbols()]
    # Id 0 is "!", with which the published tokenizer pads.
    vocabulary = {token: index for index, token in enumerate([*letters, _START, _END])}
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": _START,
        "eos_token": _END,
        "unk_token": _END,
        "pad_token": "!",
        "model_max_length": TOKENS,
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _byte_symbols() -> list[str]:
    """One printable symbol per byte, in the order of CLIP's own vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    hidden = 256 - len(plain)
    return [chr(byte) for byte in plain] + [chr(256 + index) for index in range(hidden)]


def _build_vae(sizes: FreshSizes) -> AutoencoderKL:
    levels = len(sizes.vae_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.vae_channels,
        norm_num_groups=sizes.vae_groups,
        sample_size=sizes.latent * 2 ** (levels - 1),
        scaling_factor=0.18215,
    )


def _build_image_encoder(sizes: FreshSizes) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        image_size=sizes.crop, patch_size=sizes.patch, **_tower(sizes.tower_width, sizes)
    )
    return CLIPVisionModelWithProjection(config)


def _build_text_encoder(sizes: FreshSizes) -> CLIPTextModel:
    words = 2 * 256
    config = CLIPTextConfig(
        vocab_size=words + 2,
        bos_token_id=words,
        eos_token_id=words + 1,
        max_position_embeddings=TOKENS,
        **_tower(sizes.text_width, sizes),
    )
    return CLIPTextModel(config)


def _tower(width: int, sizes: FreshSizes) -> dict[str, Any]:
    """What both towers of CLIP have in common."""
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_act": "gelu",
        "projection_dim": sizes.embed_width,
    }
