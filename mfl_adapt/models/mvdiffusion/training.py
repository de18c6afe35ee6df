"""One training step, from encoded pictures to prediction and target.

pictures -> encode_example -> Encoded (may be kept) -> training_step -> StepResult -> loss
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mfl_adapt.checks import check_range, check_same_shape, check_shape
from mfl_adapt.errors import ConfigError, ShapeError
from mfl_adapt.models.mvdiffusion.conditioning import build_class_labels
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.parts import Parts
from mfl_adapt.models.mvdiffusion.pose import flatten_cameras
from mfl_adapt.models.mvdiffusion.prompts import check_prompt_embeds
from mfl_adapt.types import Cameras


@dataclass(frozen=True, slots=True, eq=False)
class StepDraws:
    """The random numbers of one step.

    Attributes:
        embeds: Noise on image embeddings, [N, P].
        drop: Uniform number per object that decides which conditions it loses, [B].
        posterior: Noise that picks the target latents, [N, 4, h, w].
        noise: What the denoiser has to find, [N, 4, h, w].
        timesteps: One per object, [B], int64.
    """

    embeds: Tensor
    drop: Tensor
    posterior: Tensor
    noise: Tensor
    timesteps: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """What a loss needs, and what a test wants to see.

    Attributes:
        pred: The denoiser's output, [N, 4, h, w].
        target: What it should have been, same shape.
        timesteps: [N].
        snr: Signal-to-noise ratio at these timesteps, [N].
        latents: Scaled target latents without noise, [N, 4, h, w].
        unet_input: Noisy latents and image latents after dropping, [N, 8, h, w].
        class_labels: After dropping, [N, 2P].
    """

    pred: Tensor
    target: Tensor
    timesteps: Tensor
    snr: Tensor
    latents: Tensor
    unet_input: Tensor
    class_labels: Tensor


def draw_step(
    encoded: Encoded,
    *,
    shared: torch.Generator,
    own: torch.Generator,
    num_train_timesteps: int = 1000,
) -> StepDraws:
    """Draw the random numbers of a step, in the published order.

    Args:
        encoded: Gives the shapes.
        shared: CPU generator seeded alike in every process: noise on embeddings, dropping.
        own: CPU generator of this process: target latents, noise, timesteps.
        num_train_timesteps: Length of the schedule.
    """
    mean = encoded.target_mean
    objects, views = mean.shape[:2]
    device, latents = mean.device, (objects * views, *mean.shape[2:])
    embeds = torch.randn(objects * views, encoded.embeds.shape[1], generator=shared)
    drop = torch.rand(objects, generator=shared)
    posterior = torch.randn(latents, generator=own)
    # The published program fills this tensor channel by channel within each pixel, which decides
    # what the generator gives to which place, and what it gives afterwards.
    noise = torch.empty(latents, memory_format=torch.channels_last).normal_(generator=own)
    timesteps = torch.randint(0, num_train_timesteps, (objects,), generator=own)
    drawn = (embeds, drop, posterior, noise, timesteps)
    return StepDraws(*(value.to(device).contiguous() for value in drawn))


def training_step(
    encoded: Encoded,
    prompt_embeds: Tensor,
    draws: StepDraws,
    parts: Parts,
    *,
    drop_rate: float = 0.05,
    cameras: Cameras | None = None,
) -> StepResult:
    """Predict noised targets; gradients flow to whatever in the UNet asks for them.

    Args:
        encoded: Of B objects.
        prompt_embeds: One row per view, the same for every object, [V, tokens, D]; or one per
            view of every object, [B * V, tokens, D].
        draws: Random numbers of the step.
        parts: Of the base; only its UNet is run.
        drop_rate: An object loses its embedding, its latents, or both, with this probability
            each. Prompts and cameras are never dropped.
        cameras: Of the views, for a base with a pose adapter: [V] or [B, V], view 0 first.

    Raises:
        ShapeError: If the numbers of views differ, or draws or cameras do not fit.
        RangeError: If the rate leaves [0, 1/3], or a camera is not finite.
        AdapterError: If there are cameras and no pose adapter, or the other way round.
        ConfigError: If the schedule asks for another kind of prediction.
    """
    check_range("drop_rate", drop_rate, 0.0, 1 / 3)
    unet, views = parts.unet, encoded.num_views
    items = len(encoded.embeds) * views
    _check_views(parts, prompt_embeds, views, items)
    device, dtype = unet.device, unet.dtype
    latents, noise = _pick_targets(encoded, draws, parts)
    timesteps = draws.timesteps.to(device).repeat_interleave(views)
    alphas = parts.scheduler.alphas_cumprod.to(device)[timesteps]
    labels, image_latents = _drop_some(encoded, draws, parts, drop_rate)
    unet_input = torch.cat([_mix(latents, noise, alphas), image_latents], dim=1)
    prompts = prompt_embeds.to(device, dtype).repeat(items // len(prompt_embeds), 1, 1)
    flat = None if cameras is None else flatten_cameras(cameras, items, views, device)
    pred = unet(unet_input, timesteps, prompts, class_labels=labels, cameras=flat).sample
    target = build_target(latents, noise, alphas, parts.scheduler.config.prediction_type)
    return StepResult(pred, target, timesteps, alphas / (1 - alphas), latents, unet_input, labels)


def drop_conditions(drop: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Say what each object keeps.

    Of the uniform numbers below three rates, the first third loses the embedding, the second
    both, the last the latents.

    Args:
        drop: [B], uniform in [0, 1).
        rate: Width of each of the three ranges.

    Returns:
        Whether the embedding is kept and whether the latents are, [B] each.
    """
    return drop >= 2 * rate, (drop < rate) | (drop >= 3 * rate)


def build_target(latents: Tensor, noise: Tensor, alphas: Tensor, prediction_type: str) -> Tensor:
    """Return what the denoiser should predict, [N, 4, h, w].

    Args:
        latents: Without noise, [N, 4, h, w].
        noise: Same shape.
        alphas: Cumulative product of the schedule at each item's timestep, [N].
        prediction_type: As the scheduler's file says.

    Raises:
        ConfigError: If the kind of prediction is unknown.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return latents
    if prediction_type == "v_prediction":
        return _mix(noise, -latents, alphas)
    raise ConfigError(
        "scheduler: expected prediction_type v_prediction, epsilon or sample, got "
        f"{prediction_type!r}. Use the scheduler of the published model."
    )


def _pick_targets(encoded: Encoded, draws: StepDraws, parts: Parts) -> tuple[Tensor, Tensor]:
    """Return scaled target latents and the noise on them, [N, 4, h, w] each."""
    unet = parts.unet
    mean, std = (value.flatten(0, 1) for value in (encoded.target_mean, encoded.target_std))
    check_same_shape("draws.posterior", mean, draws.posterior)
    check_same_shape("draws.noise", mean, draws.noise)
    for name, drawn in (("drop", draws.drop), ("timesteps", draws.timesteps)):
        check_shape(f"draws.{name}", drawn, encoded.embeds.shape[:1])
    values = (mean, std, draws.posterior, draws.noise)
    mean, std, posterior, noise = (value.to(unet.device, unet.dtype) for value in values)
    return (mean + std * posterior) * parts.vae.config.scaling_factor, noise


def _drop_some(
    encoded: Encoded, draws: StepDraws, parts: Parts, rate: float
) -> tuple[Tensor, Tensor]:
    """Return class labels [N, 2P] and image latents [N, 4, h, w], zero where they are dropped."""
    unet, views = parts.unet, encoded.num_views
    values = (encoded.embeds, encoded.image_latents)
    embeds, latents = (
        value.to(unet.device, unet.dtype).repeat_interleave(views, dim=0) for value in values
    )
    noise = draws.embeds.to(embeds)
    labels = build_class_labels(embeds, noise, 0, parts.noising, parts.normalizer)
    keep = drop_conditions(draws.drop.to(unet.device), rate)
    keep_labels, keep_latents = (one.repeat_interleave(views).to(unet.dtype) for one in keep)
    return labels * keep_labels[:, None], latents * keep_latents[:, None, None, None]


def _mix(signal: Tensor, noise: Tensor, alphas: Tensor) -> Tensor:
    """sqrt(a) * signal + sqrt(1 - a) * noise, with the schedule cast before its roots."""
    alphas = alphas.to(signal.dtype)[:, None, None, None]
    return alphas.sqrt() * signal + (1 - alphas).sqrt() * noise


def _check_views(parts: Parts, prompt_embeds: Tensor, views: int, items: int) -> None:
    """Raise unless network, prompts and targets have the same views.

    Raises:
        ShapeError: If their numbers differ.
    """
    check_prompt_embeds(prompt_embeds, parts.unet.config.cross_attention_dim)
    if prompt_embeds.shape[0] not in {views, items} or parts.unet.num_views != views:
        raise ShapeError(
            f"training_step: expected one number of views, got {views} in the targets, "
            f"{prompt_embeds.shape[0]} prompts and {parts.unet.num_views} in the UNet. "
            "Set num_views of the UNet and give one prompt per view."
        )
