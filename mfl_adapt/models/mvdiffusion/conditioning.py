"""What the denoiser is told about the input picture and the views that it shall make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from diffusers.models.embeddings import get_timestep_embedding
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from mfl_adapt.checks import check_range, check_same_shape
from mfl_adapt.models.mvdiffusion.parts import Normalizer
from mfl_adapt.models.mvdiffusion.pose import join_cameras
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What the denoiser gets beside the noisy latents.

    Attributes:
        class_labels: Noised image embedding and noise level, [N, 2P].
        image_latents: Latents of the input picture, [N, 4, h, w].
        prompt_embeds: Text embedding of each view's prompt, [N, tokens, D].
        num_views: Views per object, V.
        cameras: One per item, [N], for a pose adapter; None without one.
    """

    class_labels: Tensor
    image_latents: Tensor
    prompt_embeds: Tensor
    num_views: int
    cameras: Cameras | None = None

    def with_unconditional(self) -> Conditions:
        """Return 2N items for guidance: first all without the picture, then these.

        The picture is taken away, its noise level too; prompts and cameras stay, since they say
        which view to make.
        """
        return Conditions(
            torch.cat([torch.zeros_like(self.class_labels), self.class_labels]),
            torch.cat([torch.zeros_like(self.image_latents), self.image_latents]),
            torch.cat([self.prompt_embeds, self.prompt_embeds]),
            self.num_views,
            None if self.cameras is None else join_cameras(self.cameras, self.cameras),
        )

    def pick(self, items: Tensor, num_views: int) -> Conditions:
        """Return some of the items, as objects of another number of views."""
        return Conditions(
            self.class_labels[items],
            self.image_latents[items],
            self.prompt_embeds[items],
            num_views,
            None if self.cameras is None else self.cameras[items],
        )


def to_signed(pictures: Sequence[Bytes]) -> Tensor:
    """Return 8-bit pictures [H, W, 3] as [N, 3, H, W] in [-1, 1], float32."""
    stacked = np.stack(pictures).astype(np.float32) / 255.0
    # Convolutions on pictures that are only permuted are ten times less exact on a CPU.
    return 2.0 * torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous() - 1.0


@torch.no_grad()
def embed_pictures(
    pictures: Sequence[Bytes],
    processor: CLIPImageProcessorPil,
    encoder: CLIPVisionModelWithProjection,
) -> Tensor:
    """Return CLIP embeddings [N, P] of 8-bit pictures; their length is not normalised."""
    images = [Image.fromarray(picture) for picture in pictures]
    pixels = processor(images=images, return_tensors="pt").pixel_values
    return embed_pixels(pixels, encoder)


@torch.no_grad()
def embed_pixels(pixels: Tensor, encoder: CLIPVisionModelWithProjection) -> Tensor:
    """Return CLIP embeddings [N, P] of prepared pixels [N, 3, side, side]."""
    return encoder(pixels.to(encoder.device, encoder.dtype)).image_embeds


@torch.no_grad()
def encode_condition(signed: Tensor, vae: AutoencoderKL) -> Tensor:
    """Return scaled latents [N, 4, h, w] of pictures in [-1, 1]: the mode, not a sample."""
    posterior = vae.encode(signed.to(vae.device, vae.dtype)).latent_dist
    return posterior.mode() * vae.config.scaling_factor


def build_class_labels(
    embeds: Tensor, noise: Tensor, level: int, noising: DDPMScheduler, normalizer: Normalizer
) -> Tensor:
    """Noise image embeddings and append the level.

    Level 0 is not a no-op: it adds 0.0064 standard deviations of noise.

    Args:
        embeds: [N, P].
        noise: Standard normal, [N, P]; differs between views even where the picture does not.
        level: From 0 to 999.
        noising: Schedule of the noise.
        normalizer: Statistics of the embeddings.

    Returns:
        [N, 2P].

    Raises:
        ShapeError: If embeddings and noise differ in shape.
        RangeError: If the schedule has no such level.
    """
    check_same_shape("noise on image embeddings", embeds, noise)
    check_range("noise_level", level, 0, noising.config.num_train_timesteps - 1)
    levels = torch.full((embeds.shape[0],), level, device=embeds.device, dtype=torch.long)
    mean, std = (value.to(embeds.device, embeds.dtype) for value in normalizer)
    noisy = noising.add_noise((embeds - mean) / std, timesteps=levels, noise=noise)
    marks = get_timestep_embedding(
        levels, embeds.shape[-1], flip_sin_to_cos=True, downscale_freq_shift=0
    )
    return torch.cat([noisy * std + mean, marks.to(embeds.dtype)], dim=1)
