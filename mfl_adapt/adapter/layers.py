"""The layers that peft puts into a network, and how to take one adapter out of them again.

A layer of peft stands in the place of one of the base's and holds the weights of any number of
adapters, by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def adapter_layers(module: nn.Module, name: str | None = None) -> dict[str, Any]:
    """Layers that peft put in, by the name of the layer that they stand for.

    Args:
        module: Network, adapted or not.
        name: Only those that this adapter has a part in; None means all.

    Returns:
        Live layers; empty if there is no adapter.
    """
    return {
        path: layer
        for path, layer in module.named_modules()
        if isinstance(layer, BaseTunerLayer) and (name is None or name in adapter_names(layer))
    }


def adapter_names(layer: Any) -> set[str]:
    """Names of the adapters that have a part in one of peft's layers."""
    return {name for weights in layer.adapter_layer_names for name in getattr(layer, weights)}


def layer_parameters(layer: Any, name: str) -> list[nn.Parameter]:
    """Parameters of one adapter in one of peft's layers."""
    found: list[nn.Parameter] = []
    for weights in dict.fromkeys(layer.adapter_layer_names):
        if name in getattr(layer, weights):
            own = getattr(layer, weights)[name]
            found += own.parameters() if isinstance(own, nn.Module) else [own]
    return found


def is_additive(layer: Any, name: str) -> bool:
    """Tell whether an adapter adds a fixed matrix, times a number, to a layer's weight.

    LoRA and LoKr do. DoRA also sets the length of the rows, OFT and IA3 multiply.
    """
    return name in getattr(layer, "scaling", {}) and name not in getattr(layer, "lora_variant", {})


@dataclass(slots=True)
class TakenOut:
    """What one adapter had in a network, so that it can be put back.

    Attributes:
        name: Of the adapter.
        config: peft's settings; None if it had no layers.
        entries: Container, name and value of everything that layers keep by adapter.
        wrapped: Parent, name in it and layer of peft, for layers that now are the base's again.
    """

    name: str
    config: PeftConfig | None = None
    entries: list[tuple[Any, str, Any]] = field(default_factory=list)
    wrapped: list[tuple[nn.Module, str, nn.Module]] = field(default_factory=list)


def take_out(module: nn.Module, name: str) -> TakenOut:
    """Take one adapter out of peft's layers; the base's own return where no other is left.

    Args:
        module: Network, changed in place.
        name: The adapter; it may be half put in.

    Returns:
        What ``put_back`` needs.
    """
    taken = TakenOut(name)
    for path, layer in adapter_layers(module).items():
        for container in _containers(layer):
            if name in container:
                taken.entries.append((container, name, container[name]))
                del container[name]
        if not adapter_names(layer):
            parent, child = _place(module, path)
            setattr(parent, child, layer.get_base_layer())
            taken.wrapped.append((parent, child, layer))
    configs = dict(getattr(module, "peft_config", {}))
    taken.config = configs.pop(name, None)
    set_configs(module, configs)
    return taken


def put_back(module: nn.Module, taken: TakenOut) -> None:
    """Undo ``take_out``, while nothing else has changed.

    Args:
        module: Network, changed in place.
        taken: What ``take_out`` returned.
    """
    for parent, child, layer in taken.wrapped:
        setattr(parent, child, layer)
    for container, name, value in taken.entries:
        container[name] = value
    if taken.config is not None:
        configs = dict(getattr(module, "peft_config", {}))
        set_configs(module, configs | {taken.name: taken.config})


def set_configs(module: Any, configs: dict[str, PeftConfig]) -> None:
    """Leave peft's settings on the network, where peft looks for them; none at all if empty."""
    if configs:
        module.peft_config = configs
    elif hasattr(module, "peft_config"):
        # peft would warn about an attribute that is there, even if it is empty.
        del module.peft_config


@contextmanager
def without_configs(module: nn.Module) -> Iterator[None]:
    """Hide peft's settings of other adapters while one more is put in.

    peft warns about them, as two models around one network would share them; here they shall.
    """
    others = dict(getattr(module, "peft_config", {}))
    set_configs(module, {})
    try:
        yield
    finally:
        set_configs(module, others | dict(getattr(module, "peft_config", {})))


@contextmanager
def own_layers(module: nn.Module) -> Iterator[None]:
    """Show the base's own layers in a ``with`` block, as a method looks for targets among them."""
    places = [(*_place(module, path), layer) for path, layer in adapter_layers(module).items()]
    for parent, child, layer in places:
        setattr(parent, child, layer.get_base_layer())
    try:
        yield
    finally:
        for parent, child, layer in places:
            setattr(parent, child, layer)


def _containers(layer: Any) -> list[Any]:
    """Everything in a layer that has one entry for each adapter."""
    # The kind of a LoRA stands in a table that peft does not list among the others.
    names = (*layer.adapter_layer_names, *layer.other_param_names, "lora_variant")
    return [getattr(layer, name) for name in dict.fromkeys(names) if hasattr(layer, name)]


def _place(module: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, child = path.rpartition(".")
    return module.get_submodule(parent), child
