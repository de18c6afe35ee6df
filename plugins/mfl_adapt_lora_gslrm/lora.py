"""LoRA and its kin by peft, with targets that are known to exist."""

import peft
from torch import nn

from mfl_adapt.plugin import Pace
from mfl_adapt.plugin.peft_settings import build_peft_config
from mfl_adapt.plugin.targets import match_layers

from .config import LoraConfig

NAME = "lora_gslrm.lora"

ATTENTION = ("transformer_layers.*.attn.to_qkv", "transformer_layers.*.attn.fc")
MLP = ("transformer_layers.*.mlp.mlp.0", "transformer_layers.*.mlp.mlp.2")
GROUPS = {"all-linear": ATTENTION + MLP, "attention": ATTENTION, "mlp": MLP}


class Lora:
    """The component ``lora_gslrm.lora``."""

    def __init__(self, config: LoraConfig) -> None:
        self.config = config

    def peft_config(self, module: nn.Module) -> peft.PeftConfig:
        """Return peft's settings, with every target layer by its full name, sorted.

        Args:
            module: Network of the base, not yet adapted.

        Returns:
            Settings for ``peft.get_peft_model`` and the like.

        Raises:
            AdapterError: If a pattern matches no linear layer, or the method cannot change one.
        """
        wanted = self.config.targets
        patterns = GROUPS[wanted] if isinstance(wanted, str) else wanted
        names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
        layers = match_layers(names, patterns, where=NAME)
        return build_peft_config(self.config, module, layers, where=NAME)

    def pace(self, name: str) -> Pace:
        """Return how a weight of the adapter learns, by its full name."""
        return self.config.pace(name)
