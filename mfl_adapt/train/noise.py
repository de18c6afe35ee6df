"""The random numbers of a diffusion step, where several processes share its batch."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.training import StepDraws, draw_step


def draw_share(
    encoded: Encoded,
    share: range,
    total: int,
    *,
    shared: torch.Generator,
    own: torch.Generator,
    num_train_timesteps: int,
) -> StepDraws:
    """Draw the numbers of a whole batch, as one process would, and keep those of a share.

    Args:
        encoded: Objects of the share, which are as large as all others.
        share: Their places in the batch.
        total: Objects of the batch.
        shared: As of ``draw_step``.
        own: As of ``draw_step``.
        num_train_timesteps: Length of the schedule.
    """
    values = (getattr(encoded, field.name) for field in fields(Encoded))
    whole = Encoded(*(value[:1].expand(total, *value.shape[1:]) for value in values))
    drawn = draw_step(whole, shared=shared, own=own, num_train_timesteps=num_train_timesteps)

    def keep(value: Tensor) -> Tensor:
        return value.unflatten(0, (total, -1))[share.start : share.stop].flatten(0, 1)

    return StepDraws(*(keep(getattr(drawn, field.name)) for field in fields(StepDraws)))
