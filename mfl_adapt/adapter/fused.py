"""Plain LoRA on linear layers in few operations, while an adapter is trained.

peft adds a low-rank product to a layer's output by a chain of small operations, each of which
reads and writes the whole output, and torch keeps what every one of them needs for the backward
pass. Within ``fused`` a layer and its adapter are one operation with a backward pass of its own,
which makes no gradient of the frozen weight. In float32 the product is added to the weight, which
is small beside the tokens; under autocast it is added to the output, as a sum with a weight in
half precision would lose small updates.

Layers, their weights and the files stay peft's. What is no plain LoRA in training (several
adapters in one layer, DoRA, dropout, a layer that is switched off, no gradients) takes peft's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mfl_adapt.adapter.layers import adapter_layers


@contextmanager
def fused(module: nn.Module) -> Iterator[None]:
    """Let plain LoRA in a network be trained in few operations inside a ``with`` block.

    Results are peft's up to rounding: 1e-6 in float32, and less rounding under autocast.

    Args:
        module: Network, adapted or not.
    """
    layers = [one for one in adapter_layers(module).values() if type(one) is LoraLinear]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: Any, x: Tensor, *args: Any, **settings: Any) -> Tensor:
    """Run one of peft's layers."""
    name = None if args or settings else _only_adapter(layer, x)
    if name is None:
        result: Tensor = type(layer).forward(layer, x, *args, **settings)
        return result
    base, down, up = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    half = autocast_dtype(x)
    operation = AddedToWeight if half is None else AddedToOutput
    flat = x.reshape(-1, x.shape[-1]) if half is None else x.reshape(-1, x.shape[-1]).to(half)
    made: Tensor = operation.apply(flat, base.weight, base.bias, down, up, layer.scaling[name])
    return made.view(*x.shape[:-1], -1)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the half-precision format in which matrix products of a tensor are taken, or None."""
    if not torch.is_autocast_enabled(x.device.type):
        return None
    return torch.get_autocast_dtype(x.device.type)


def _only_adapter(layer: Any, x: Tensor) -> str | None:
    """Name of the adapter if it is the only one here, and plain LoRA in training; else None."""
    if not torch.is_grad_enabled() or layer.disable_adapters or layer.merged:
        return None
    acting = [name for name in layer.active_adapters if name in layer.lora_A]
    base = layer.base_layer
    if len(acting) != 1 or type(base) is not nn.Linear or base.weight.requires_grad:
        return None
    if base.bias is not None and base.bias.requires_grad:
        return None
    if base.weight.dtype != torch.float32 or x.dtype not in _allowed(x):
        return None
    name = acting[0]
    is_plain = (
        name not in layer.lora_variant
        and not layer.fan_in_fan_out
        and not layer.lora_bias[name]
        and isinstance(layer.lora_dropout[name], nn.Identity)
        and layer.lora_A[name].weight.dtype == torch.float32
    )
    return name if is_plain else None


def _allowed(x: Tensor) -> set[torch.dtype]:
    half = autocast_dtype(x)
    return {torch.float32} if half is None else {torch.float32, half}


class AddedToWeight(torch.autograd.Function):
    """y = x (W + s B A)^T + b for x [N, in], W [out, in], A [r, in] and B [out, r]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, s: float
    ) -> Tensor:
        """Return [N, out]."""
        whole = torch.addmm(weight, up, down, alpha=s)
        ctx.save_for_backward(x, whole, down, up)
        ctx.scaling = s
        return nn.functional.linear(x, whole, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, A and B."""
        x, whole, down, up = ctx.saved_tensors
        low = (outer @ up).mul_(ctx.scaling)
        by_up = (outer.mT @ (x @ down.mT)).mul_(ctx.scaling)
        by_x = outer @ whole if ctx.needs_input_grad[0] else None
        return by_x, None, None, low.mT @ x, by_up, None


class AddedToOutput(torch.autograd.Function):
    """y = x W^T + b + s (x A^T) B^T, with the weights in the half-precision format of x [N, in]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, s: float
    ) -> Tensor:
        """Return [N, out]."""
        with torch.autocast(x.device.type, enabled=False):
            down, up = down.to(x.dtype), up.to(x.dtype)
            low = x @ down.mT
            made = nn.functional.linear(x, weight.to(x.dtype), _to(bias, x.dtype))
            made.addmm_(low, up.mT, alpha=s)
        ctx.save_for_backward(x, weight, low, down, up)
        ctx.scaling = s
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, A and B; those of weights in float32."""
        x, weight, low, down, up = ctx.saved_tensors
        s, by_low = ctx.scaling, outer @ up
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = (outer @ weight.to(x.dtype)).addmm_(by_low, down, alpha=s)
        by_down = (by_low.mT @ x).float().mul_(s)
        return by_x, None, None, by_down, (outer.mT @ low).float().mul_(s), None


def _to(bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if bias is None else bias.to(dtype)
