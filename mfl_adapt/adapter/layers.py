"""The layers that peft puts into a network, and how to take them out again."""

from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def adapter_layers(module: nn.Module) -> dict[str, Any]:
    """Layers that peft put in, by the name of the layer that they stand for.

    Args:
        module: Network, adapted or not.

    Returns:
        Live layers; empty if there is no adapter.
    """
    return {
        name: layer for name, layer in module.named_modules() if isinstance(layer, BaseTunerLayer)
    }


def remove_layers(module: nn.Module) -> None:
    """Put every original layer back in its place.

    Args:
        module: Network, adapted or not; changed in place.
    """
    for name, layer in adapter_layers(module).items():
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, layer.get_base_layer())
    # peft leaves its settings on the network, and would warn about them the next time.
    if hasattr(module, "peft_config"):
        del module.peft_config
