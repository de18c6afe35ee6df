"""What must never happen in a run, and what to do if it does."""

import math

from mfl_adapt.errors import TrainingError


def check_gradient(norm: float, *, step: int, factor: float | None = None) -> None:
    """Stop before a broken gradient reaches the weights.

    Args:
        norm: Length of the whole gradient, before clipping.
        step: From 0.
        factor: What an fp16 loss was multiplied by; None without one. While it can be lowered, a
            gradient that is not finite passes: the optimizer will leave that step out.

    Raises:
        TrainingError: If it is not finite, or exactly 0.
    """
    if not math.isfinite(norm) and (factor is None or factor <= 1):
        raise TrainingError(
            f"train: expected a finite gradient at step {step}, got a norm of {norm}. "
            "Lower train.lr, or use --set train.precision=fp32."
        )
    if norm == 0:
        raise TrainingError(
            f"train: expected a gradient at step {step}, got 0 everywhere. No loss depends on the "
            "adapter: check that the renders show something and that the masks are not empty."
        )
