"""The optimizer and its learning-rate schedule."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin import Pace


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Factor on the learning rate: a linear rise, then half a cosine down to zero.

    Unlike FaceLift's own schedule (whose first step has rate 0), step 0 already learns.

    Args:
        step: Optimizer step, from 0.
        steps: Length of the run.
        warmup: Steps of the rise.

    Returns:
        Factor in [0, 1].
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def build_optimizer(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    weight_decay: float,
    steps: int,
    warmup: int,
    paces: Sequence[Pace] | None = None,
) -> tuple[AdamW, LambdaLR]:
    """Return AdamW over the trainable parameters and the schedule that goes with it.

    Args:
        parameters: What may change; at least one.
        lr: Greatest learning rate.
        weight_decay: Decay of tensors with two or more axes; vectors are left alone.
        steps: Length of the run.
        warmup: Steps of the rise.
        paces: How each parameter learns, in the same order; None is the same for all. Where any
            parameter learns at ``lr`` itself, the first group does, so that the first rate of
            the schedule is that of the run.

    Raises:
        TrainingError: If nothing is trainable.
    """
    listed = list(parameters)
    pairs = zip(listed, paces if paces is not None else [Pace()] * len(listed), strict=True)
    trainable = [(parameter, pace) for parameter, pace in pairs if parameter.requires_grad]
    if not trainable:
        raise TrainingError("train: expected trainable parameters, got none. Name an adapter.")
    groups = _groups(trainable, lr=lr, weight_decay=weight_decay)
    optimizer = AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)
    schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=warmup))
    return optimizer, schedule


def _groups(
    trainable: Sequence[tuple[nn.Parameter, Pace]], *, lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Sort parameters into groups of one rate and one decay; the rate 1 comes first."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter, pace in trainable:
        decays = pace.decay and parameter.ndim >= 2
        groups.setdefault((pace.rate, decays), []).append(parameter)
    order = sorted(groups, key=lambda one: (one[0] != 1.0, one[0], not one[1]))
    return [
        {
            "params": groups[rate, decays],
            "lr": lr * rate,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for rate, decays in order
    ]
