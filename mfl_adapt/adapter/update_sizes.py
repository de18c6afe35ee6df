"""How large the update of each layer is, for any method of peft."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.layers import adapter_layers

_ADDITIVE = ("LORA", "LOHA", "LOKR")
"""Methods whose ``get_delta_weight`` is what is added to the weight; for others it is a factor."""


def weight_updates(adapter: AttachedAdapter) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure the layers whose update can be seen in their weights.

    Args:
        adapter: At strength 1.

    Returns:
        Norm of the update over the norm of what it changes, by layer; and the layers that cannot
        be merged, which only their outputs can tell about.
    """
    sizes, rest = {}, {}
    layers = adapter_layers(adapter.base.module)
    for name in adapter.layers:
        layer = layers[name]
        if _is_additive(layer, adapter):
            delta = layer.get_delta_weight(adapter.name)
            sizes[name] = ratio(_norm([delta]), _norm([layer.get_base_layer().weight]))
            continue
        try:
            sizes[name] = _merged_size(layer, adapter.name)
        except (NotImplementedError, ValueError):
            rest[name] = layer
    return sizes, rest


@contextmanager
def outputs_beside(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, float]]:
    """Compare the output of layers with that of the base's layers for the same input.

    Args:
        layers: Layers that peft put in, by name.

    Yields:
        Norm of the change over the norm of the base's output, by name; filled at the end.
    """
    sums = {name: torch.zeros(2, dtype=torch.float64) for name in layers}
    handles = [
        layer.register_forward_hook(_adder(sums[name]), with_kwargs=True)
        for name, layer in layers.items()
    ]
    sizes: dict[str, float] = {}
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()
    for name, (change, bare) in ((name, total.sqrt().tolist()) for name, total in sums.items()):
        sizes[name] = ratio(change, bare)


def ratio(part: float, whole: float) -> float:
    """Return the share that a change has; 1 where there was nothing, and all of it is new."""
    if whole == 0:
        return float(part > 0)
    return part / whole


def _is_additive(layer: Any, adapter: AttachedAdapter) -> bool:
    if adapter.config is None or adapter.config.peft_type.value not in _ADDITIVE:
        return False
    # DoRA and its like reach the output in other ways too, and so does a bias.
    is_variant = adapter.name in getattr(layer, "lora_variant", {})
    return not is_variant and not getattr(layer, "lora_bias", {}).get(adapter.name, False)


def _merged_size(layer: nn.Module, name: str) -> float:
    """Merge a copy in float32, so that half precision does not swallow a small update."""
    merged: Any = copy.deepcopy(layer).float()
    merged.merge(safe_merge=False, adapter_names=[name])
    before = dict(_base_layer(layer).named_parameters())
    after = dict(merged.get_base_layer().named_parameters())
    changed = [key for key in before if not torch.equal(after[key], before[key].float())]
    updates = [after[key] - before[key].float() for key in changed]
    return ratio(_norm(updates), _norm([before[key] for key in changed]))


def _base_layer(layer: Any) -> nn.Module:
    found: nn.Module = layer.get_base_layer()
    return found


def _norm(tensors: list[Tensor]) -> float:
    """Norm of all numbers of several tensors."""
    # Not by way of float64 copies: a large base has hundreds of millions of numbers.
    return math.hypot(*(float(torch.linalg.vector_norm(one.float())) for one in tensors))


def _adder(sums: Tensor) -> Any:
    def add(layer: Any, args: Any, kwargs: Any, output: Tensor) -> None:
        bare = layer.get_base_layer()(*args, **kwargs)
        sums[0] += float((output.double() - bare.double()).square().sum())
        sums[1] += float(bare.double().square().sum())

    return add
