"""The parts of a model, and the rules by which they fit each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.mvdiffusion.unet import MVUNet


class Normalizer(NamedTuple):
    """Statistics of image embeddings.

    Attributes:
        mean: [1, P].
        std: [1, P], positive.
    """

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Everything that a published directory holds, loaded.

    Attributes:
        unet: The denoiser.
        vae: Between pictures and latents.
        image_encoder: CLIP's picture tower.
        feature_extractor: Prepares pictures for it.
        normalizer: Statistics of its embeddings.
        noising: Schedule of the noise on its embeddings.
        scheduler: Schedule of the latents, configured as the file says.
        text_encoder: CLIP's text tower; None if it was left out.
        tokenizer: Its tokenizer; None if it was left out.
        files: SHA-256 of every file that was read, by path relative to the directory.
    """

    unet: MVUNet
    vae: AutoencoderKL
    image_encoder: CLIPVisionModelWithProjection
    feature_extractor: CLIPImageProcessorPil
    normalizer: Normalizer
    noising: DDPMScheduler
    scheduler: DDIMScheduler
    text_encoder: CLIPTextModel | None = None
    tokenizer: CLIPTokenizer | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def vae_factor(self) -> int:
        """Pixels per latent along each axis; 8 in the published model."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.unet.config.sample_size * self.vae_factor)

    def networks(self) -> tuple[nn.Module, ...]:
        """Return the parts that have weights, without the normalizer."""
        networks = (self.unet, self.vae, self.image_encoder, self.text_encoder)
        return tuple(network for network in networks if network is not None)

    def sha256(self) -> str:
        """Return one SHA-256 over the files that decide a sample.

        It covers names and contents. The text tower is left out: prompt embeddings come ready
        made, so a folder without it makes the same views.
        """
        lines = [
            f"{digest}  {name}\n"
            for name, digest in sorted(self.files.items())
            if not name.startswith(("text_encoder/", "tokenizer/"))
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_parts(parts: Parts, folder: Path) -> None:
    """Raise unless the parts fit each other.

    Raises:
        CheckpointError: If sizes that must agree do not.
    """
    unet, vae, clip = parts.unet.config, parts.vae.config, parts.image_encoder.config
    width = clip.projection_dim
    crop = parts.feature_extractor.crop_size
    labels = "projection_class_embeddings_input_dim"
    rules = [
        ("unet", "in_channels", unet.in_channels, 2 * vae.latent_channels),
        ("unet", "out_channels", unet.out_channels, vae.latent_channels),
        ("unet", labels, unet[labels], 2 * width),
        ("image_normalizer", "width", parts.normalizer.mean.shape[-1], width),
        ("feature_extractor", "crop height", crop["height"], clip.image_size),
        ("feature_extractor", "crop width", crop["width"], clip.image_size),
    ]
    if parts.text_encoder is not None:
        text = parts.text_encoder.config.hidden_size
        rules.append(("unet", "cross_attention_dim", unet.cross_attention_dim, text))
    for part, what, got, expected in rules:
        if got != expected:
            raise CheckpointError(
                f"{folder / part}: expected {what} {expected} to fit the other parts, got {got}. "
                "The parts come from different models: fetch the whole folder again."
            )
