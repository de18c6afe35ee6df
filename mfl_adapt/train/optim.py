"""The optimizer and its learning-rate schedule."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from mfl_adapt.errors import TrainingError


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
) -> tuple[AdamW, LambdaLR]:
    """Return AdamW over the trainable parameters and the schedule that goes with it.

    Args:
        parameters: What may change; at least one.
        lr: Greatest learning rate.
        weight_decay: Decay of tensors with two or more axes; vectors are left alone.
        steps: Length of the run.
        warmup: Steps of the rise.

    Raises:
        TrainingError: If nothing is trainable.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if not trainable:
        raise TrainingError("train: expected trainable parameters, got none. Name an adapter.")
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)
    schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=warmup))
    return optimizer, schedule
