"""LoRA by peft, with targets that are known to exist."""

import peft
from torch import nn

from mfl_adapt.plugin.lora import build_peft_config, match_layers

from .config import LoraConfig

ATTENTION = ("transformer_layers.*.attn.to_qkv", "transformer_layers.*.attn.fc")
MLP = ("transformer_layers.*.mlp.mlp.0", "transformer_layers.*.mlp.mlp.2")
GROUPS = {"all-linear": ATTENTION + MLP, "attention": ATTENTION, "mlp": MLP}


class Lora:
    """The component ``lora_gslrm.lora``."""

    def __init__(self, config: LoraConfig) -> None:
        self.config = config

    def peft_config(self, module: nn.Module) -> peft.LoraConfig:
        """Return peft's settings, with every target layer by its full name, sorted.

        Args:
            module: Network of the base, not yet adapted.

        Returns:
            Settings for ``peft.get_peft_model`` and the like.

        Raises:
            AdapterError: If a pattern matches no linear layer.
        """
        wanted = self.config.targets
        patterns = GROUPS[wanted] if isinstance(wanted, str) else wanted
        names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
        layers = match_layers(names, patterns, where="lora_gslrm.lora")
        return build_peft_config(self.config, layers)
