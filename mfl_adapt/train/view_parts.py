"""Pretraining of a small VAE and a small image encoder, each with a task of its own."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from mfl_adapt.models.mvdiffusion.encoding import prepare_pixels
from mfl_adapt.models.mvdiffusion.parts import Normalizer, Parts
from mfl_adapt.train.optim import build_optimizer

log = logging.getLogger(__name__)

# Beside the mean over 12,288 colours; more than this blurs the pictures.
KL_WEIGHT = 1e-8
ZOOM = (0.35, 1.2)
OUTLINE_SIDE = 8  # of the small pictures that the image encoder has to describe


def train_vae(
    vae: AutoencoderKL,
    pictures: Tensor,
    *,
    steps: int,
    seed: int,
    batch_size: int = 8,
    lr: float = 1.5e-3,
) -> None:
    """Train a VAE to give pictures back, and set the factor that makes its latents of size 1.

    Pictures are mirrored, their colours swapped and mixed, and their subjects made smaller and
    moved, so that the VAE serves other subjects than those it sees, as the published one does.

    Args:
        vae: Fresh; changed in place, frozen afterwards.
        pictures: [B, V, 3, H, W] in [0, 1] on white.
        steps: Optimizer steps.
        seed: Of choice, change and noise.
        batch_size: Pictures in a step.
        lr: Greatest learning rate.
    """
    generator = torch.Generator().manual_seed(seed)
    flat = pictures.flatten(0, 1)
    optimizer, schedule = build_optimizer(
        vae.train().requires_grad_().parameters(), lr=lr, weight_decay=0.0, steps=steps, warmup=100
    )
    started, errors = time.perf_counter(), []
    for step in range(1, steps + 1):
        rows = torch.randint(len(flat), (batch_size,), generator=generator)
        truth = 2 * augment(flat[rows], generator) - 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = vae.encode(truth).latent_dist
            latents = posterior.sample(generator)
            decoded = vae.decode(latents).sample
        error = (decoded.float() - truth).square().mean()
        loss = error + KL_WEIGHT * posterior.kl().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        errors.append(float(error.detach()))
        if step % 250 == 0:
            decibels = -10 * math.log10(sum(errors) / len(errors) / 4)
            seconds = (time.perf_counter() - started) / step
            log.info("VAE step %d: %.2f dB, %.3f s a step", step, decibels, seconds)
            errors.clear()
    vae.eval().requires_grad_(requires_grad=False)
    vae.register_to_config(scaling_factor=1.0 / latent_deviation(vae, flat[:256]))
    log.info("VAE: scaling factor %.4f", vae.config.scaling_factor)


def augment(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Change pictures [B, 3, H, W] in [0, 1] on white: colours, mirror, size and place."""
    count = len(pictures)
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    pictures = pictures.gather(1, order[:, :, None, None].expand_as(pictures))
    dark = torch.rand(count, 3, 1, 1, generator=generator) * 0.8 + 0.4
    missing = ((1 - pictures) * dark).clamp(0, 1)  # white stays white
    zoom = torch.empty(count).uniform_(*ZOOM, generator=generator)
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    shift = (
        (torch.rand(count, 2, generator=generator) - 0.5) * 0.8 * (1 - zoom.clamp(max=1))[:, None]
    )
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = mirror / zoom, 1 / zoom
    affine[:, :, 2] = shift / zoom[:, None]
    grid = F.affine_grid(affine, list(pictures.shape), align_corners=False)
    return 1 - F.grid_sample(missing, grid, align_corners=False)


@torch.no_grad()
def latent_deviation(vae: AutoencoderKL, pictures: Tensor) -> float:
    """Standard deviation of the latents of pictures [B, 3, H, W]."""
    means = [vae.encode(2 * part - 1).latent_dist.mode() for part in pictures.split(32)]
    return float(torch.cat(means).std())


def train_embedder(
    parts: Parts,
    pictures: Tensor,
    *,
    steps: int,
    seed: int,
    batch_size: int = 32,
    lr: float = 1e-3,
) -> Parts:
    """Train the image encoder to describe all views of an object, seen from the first.

    What it learns from is a linear map from its embedding to small pictures of all views.

    Args:
        parts: With a fresh image encoder.
        pictures: [B, V, 3, H, W] in [0, 1]; view 0 is what the encoder sees.
        steps: Optimizer steps.
        seed: Of choice and first weights.
        batch_size: Objects in a step.
        lr: Greatest learning rate.

    Returns:
        The parts, with the trained encoder and the statistics of its embeddings.
    """
    encoder = parts.image_encoder
    small = F.adaptive_avg_pool2d(pictures.flatten(0, 1), OUTLINE_SIDE)
    outlines = small.unflatten(0, pictures.shape[:2]).flatten(1)
    pixels = prepare_pixels(pictures[:, 0], parts)
    generator = torch.Generator().manual_seed(seed)
    head = nn.Linear(encoder.config.projection_dim, outlines.shape[1])
    optimizer, schedule = build_optimizer(
        [*encoder.train().requires_grad_().parameters(), *head.parameters()],
        lr=lr,
        weight_decay=0.01,
        steps=steps,
        warmup=50,
    )
    mean = outlines.mean(dim=0)
    for step in range(1, steps + 1):
        rows = torch.randint(len(pixels), (batch_size,), generator=generator)
        described = head(encoder(pixels[rows]).image_embeds) + mean
        loss = (described - outlines[rows]).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 250 == 0:
            share = float(loss.detach()) / float((outlines - mean).square().mean())
            log.info("image encoder step %d: %.3f of the variance left", step, share)
    encoder.eval().requires_grad_(requires_grad=False)
    with torch.no_grad():
        embeds = torch.cat([encoder(part).image_embeds for part in pixels.split(64)])
    normalizer = Normalizer(embeds.mean(dim=0)[None], embeds.std(dim=0).clamp(min=1e-4)[None])
    return replace(parts, normalizer=normalizer)
