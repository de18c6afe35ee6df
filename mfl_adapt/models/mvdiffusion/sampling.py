"""From noise to views: DDIM steps, guidance, and decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor

from mfl_adapt.checks import check_range, check_shape
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.conditioning import Conditions
from mfl_adapt.models.mvdiffusion.denoising import check_chunks, predict
from mfl_adapt.models.mvdiffusion.unet import MVUNet

Progress = Callable[[int, int, Tensor], None]
"""Called after every step with its index, its timestep and the latents."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Noise given by the caller; what is None is drawn.

    Attributes:
        embeds: On the image embeddings, [N, P].
        latents: Where sampling starts, [N, 4, h, w].
        steps: Noise of each step, [N, 4, h, w] each; used if ``eta`` is above 0.
    """

    embeds: Tensor | None = None
    latents: Tensor | None = None
    steps: tuple[Tensor, ...] | None = None


class GeneratedViews(NamedTuple):
    """Views of objects, object-major.

    Attributes:
        images: [N, 3, H, W] float32, sRGB-encoded in [0, 1].
        latents: What they were decoded from, [N, 4, h, w].
    """

    images: Tensor
    latents: Tensor

    def to_bytes(self) -> Tensor:
        """Return [N, H, W, 3] uint8, rounded."""
        return (self.images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class NoiseSource:
    """Draws in the order in which the published sampler does, from one generator."""

    def __init__(
        self, generator: torch.Generator, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Set where numbers are drawn and where they go.

        Args:
            generator: Decides numbers by its device too: a CUDA generator draws others.
            device: Of the results.
            dtype: In which they are drawn.
        """
        self.generator = generator
        self.device = device
        self.dtype = dtype

    def draw(self, given: Tensor | None, shape: tuple[int, ...], where: str) -> Tensor:
        """Return standard normal numbers, or those given.

        Raises:
            ShapeError: If those given have another shape.
        """
        if given is not None:
            check_shape(where, given, shape)
            return given.to(self.device, self.dtype)
        drawn = torch.randn(
            shape, generator=self.generator, device=self.generator.device, dtype=self.dtype
        )
        return drawn.to(self.device)


@torch.no_grad()
def sample_latents(
    unet: MVUNet,
    scheduler: DDIMScheduler,
    conditions: Conditions,
    noise: NoiseSource,
    *,
    steps: int,
    guidance: float,
    eta: float,
    draws: Draws,
    views_at_once: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Denoise.

    Args:
        unet: The denoiser, set to the conditions' number of views.
        scheduler: Schedule as the file says; it is not changed.
        conditions: Picture and prompts of N items.
        noise: Where noise comes from: start latents first, then one draw per step if ``eta`` is
            above 0, the last step included.
        steps: Number of steps.
        guidance: Factor on what the picture changes; 1 switches guidance off.
        eta: Share of fresh noise in each step, from 0 (none) to 1.
        draws: Noise to use instead of drawing.
        views_at_once: Views that go through the network together, beside view 0; None is all.
        progress: Called after every step.

    Returns:
        Latents, [N, 4, h, w].

    Raises:
        RangeError: If a setting leaves its range, or the latents stop being finite.
        ShapeError: If given noise does not fit.
        ConfigError: If views cannot be made apart because all see all.
    """
    check_range("eta", eta, 0.0, 1.0)
    check_range("guidance", guidance, -1e3, 1e3)
    check_chunks(unet, views_at_once)
    # A private copy: choosing timesteps changes a scheduler.
    scheduler = _prepare(DDIMScheduler.from_config(scheduler.config), steps, noise.device)
    if draws.steps is not None and len(draws.steps) != steps:
        raise ShapeError(
            f"draws.steps: expected {steps} tensors, one per step, got {len(draws.steps)}."
        )
    shape = tuple(conditions.image_latents.shape)
    latents = noise.draw(draws.latents, shape, "draws.latents") * scheduler.init_noise_sigma
    for index, time in enumerate(scheduler.timesteps):
        predicted = predict(unet, latents, time, conditions, guidance, views_at_once)
        fresh = None
        if eta > 0:
            given = draws.steps[index] if draws.steps is not None else None
            fresh = noise.draw(given, shape, f"draws.steps[{index}]")
        latents = scheduler.step(
            predicted, time, latents, eta=eta, variance_noise=fresh
        ).prev_sample
        _check_latents(latents, index)
        if progress is not None:
            progress(index, int(time), latents)
    return latents


@torch.no_grad()
def decode_latents(latents: Tensor, vae: AutoencoderKL, at_once: int | None = None) -> Tensor:
    """Return pictures [N, 3, H, W] float32 in [0, 1].

    Args:
        latents: Scaled, [N, 4, h, w].
        vae: The decoder.
        at_once: Items decoded together; None is all.
    """
    unscaled = latents.to(vae.dtype) / vae.config.scaling_factor
    pieces = [vae.decode(part).sample for part in unscaled.split(at_once or len(unscaled))]
    return (torch.cat(pieces) / 2 + 0.5).clamp(0, 1).float()


def _prepare(scheduler: DDIMScheduler, steps: int, device: torch.device) -> DDIMScheduler:
    """Choose the timesteps.

    Raises:
        RangeError: If the schedule has no room for so many.
    """
    longest = scheduler.config.num_train_timesteps
    check_range("steps", steps, 1, longest)
    scheduler.set_timesteps(steps, device=device)
    if int(scheduler.timesteps.max()) >= longest:
        raise RangeError(
            f"steps: expected fewer than {longest}, which leaves no room for the schedule's "
            f"offset, got {steps}. The published value is 50."
        )
    return scheduler


def _check_latents(latents: Tensor, index: int) -> None:
    """Raise if a number went astray.

    Raises:
        RangeError: If any latent is not finite.
    """
    if not torch.isfinite(latents).all():
        hint = "Use bfloat16 or float32." if latents.dtype == torch.float16 else "Check the input."
        raise RangeError(f"step {index}: expected finite latents, got NaN or infinity. {hint}")
