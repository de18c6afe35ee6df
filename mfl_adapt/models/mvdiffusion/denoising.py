"""One prediction of the denoiser: guidance, and views in portions where memory is short."""

from __future__ import annotations

import torch
from torch import Tensor

from mfl_adapt.errors import ConfigError, RangeError
from mfl_adapt.models.mvdiffusion.conditioning import Conditions
from mfl_adapt.models.mvdiffusion.unet import MVUNet


def check_chunks(unet: MVUNet, views_at_once: int | None) -> None:
    """Raise if views cannot be made apart.

    Raises:
        ConfigError: If every view sees every other.
        RangeError: If there would be no view at once.
    """
    if views_at_once is None:
        return
    if views_at_once < 1:
        raise RangeError(f"views_at_once: expected at least 1, got {views_at_once}.")
    if unet.pattern == "dense":
        raise ConfigError(
            "views_at_once: expected a model whose views see only the first one and themselves, "
            "got one with dense attention. Leave views_at_once out."
        )


def predict(
    unet: MVUNet,
    latents: Tensor,
    time: Tensor,
    conditions: Conditions,
    guidance: float,
    views_at_once: int | None,
) -> Tensor:
    """Return the guided prediction for all items."""
    guided = guidance != 1
    if guided:
        conditions = conditions.with_unconditional()
        latents = torch.cat([latents, latents])
    predicted = (
        _run(unet, latents, time, conditions)
        if views_at_once is None
        else _run_apart(unet, latents, time, conditions, views_at_once)
    )
    if not guided:
        return predicted
    without, with_picture = predicted.chunk(2)
    return without + guidance * (with_picture - without)


def _run(unet: MVUNet, latents: Tensor, time: Tensor, conditions: Conditions) -> Tensor:
    """Run the network once."""
    with unet.viewing(conditions.num_views):
        return unet(
            torch.cat([latents, conditions.image_latents], dim=1),
            time,
            conditions.prompt_embeds,
            class_labels=conditions.class_labels,
            cameras=conditions.cameras,
        ).sample


def _run_apart(
    unet: MVUNet, latents: Tensor, time: Tensor, conditions: Conditions, at_once: int
) -> Tensor:
    """Run the network on some views of one object at a time, each time together with view 0.

    A view depends on view 0 and on itself alone, so that the result is the same.
    """
    views = conditions.num_views
    predicted = torch.empty_like(latents)
    for first in range(0, len(latents), views):
        others = torch.arange(first + 1, first + views, device=latents.device)
        # At least once, for an object that has view 0 only.
        for chunk in others.split(at_once) or (others,):
            items = torch.cat([chunk.new_tensor([first]), chunk])
            part = conditions.pick(items, len(items))
            predicted[items] = _run(unet, latents[items], time, part)
    return predicted
