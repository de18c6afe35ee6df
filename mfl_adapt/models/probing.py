"""The state in which a network is probed: the same numbers whatever the caller was doing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)


@contextmanager
def probing(module: nn.Module) -> Iterator[None]:
    """Run a network without gradients, dropout or mixed precision in a ``with`` block.

    Modes of all parts, gradient flags and torch's settings are as before afterwards. A network
    that is kept in half precision runs under autocast of that type, as an adapter's own weights
    are float32. NVIDIA's shortened float32 is off, so that a GPU agrees with a CPU.

    Args:
        module: Network, adapted or not.
    """
    weight = next(module.parameters())
    modes = [(part, part.training) for part in module.modules()]
    precision = torch.get_float32_matmul_precision()
    module.eval()
    try:
        torch.set_float32_matmul_precision("highest")
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(_autocast(module, weight))
            stack.enter_context(
                torch.backends.cudnn.flags(
                    enabled=torch.backends.cudnn.enabled,
                    benchmark=False,
                    deterministic=True,
                    allow_tf32=False,
                )
            )
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        for part, training in modes:
            part.training = training


def ramp(*shape: int) -> Tensor:
    """Return fixed numbers in [0, 1] without a visible order, float32 on the CPU.

    Whole numbers modulo a prime, so that they are the same on every machine.

    Args:
        shape: Of the result.
    """
    count = torch.Size(shape).numel()
    numbers = torch.arange(count, dtype=torch.int64)
    return ((numbers * 7919 + numbers.square() * 31).remainder(1009) / 1008).float().reshape(shape)


def _autocast(module: nn.Module, weight: Tensor) -> torch.autocast:
    """Half precision for a network in half precision, and none otherwise."""
    kinds = {one.dtype for one in module.parameters() if one.dtype in HALF}
    dtype = next(iter(kinds)) if len(kinds) == 1 else None
    return torch.autocast(
        weight.device.type, dtype=dtype, enabled=dtype is not None, cache_enabled=False
    )
