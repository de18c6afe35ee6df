"""LoRA and its kin by peft on a UNet whose ``attn1`` mixes views."""

import peft
from torch import nn

from mfl_adapt.plugin import Pace
from mfl_adapt.plugin.peft_settings import build_peft_config
from mfl_adapt.plugin.targets import match_layers

from .config import LoraConfig

NAME = "lora_mvdiffusion.lora"

_PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
MULTIVIEW = tuple(f"attn1.{name}" for name in _PROJECTIONS)
CROSS = tuple(f"attn2.{name}" for name in _PROJECTIONS)
CONDITIONING = ("conv_in", "class_embedding.linear_1", "class_embedding.linear_2")
GROUPS = {
    "multiview": MULTIVIEW,
    "cross": CROSS,
    "attention": MULTIVIEW + CROSS,
    "conditioning": CONDITIONING,
}
"""Names that stand for several patterns; they may be mixed with patterns."""


class Lora:
    """The component ``lora_mvdiffusion.lora``."""

    def __init__(self, config: LoraConfig) -> None:
        self.config = config

    def peft_config(self, module: nn.Module) -> peft.PeftConfig:
        """Return peft's settings, with every target layer by its full name, sorted.

        Args:
            module: UNet of the base, not yet adapted.

        Raises:
            AdapterError: If a pattern matches no linear or convolution layer, or the method cannot
                change one.
        """
        wanted = self.config.targets
        words = (wanted,) if isinstance(wanted, str) else wanted
        patterns = [pattern for word in words for pattern in GROUPS.get(word, (word,))]
        kinds = (nn.Linear, nn.Conv2d)
        names = [name for name, layer in module.named_modules() if isinstance(layer, kinds)]
        layers = match_layers(names, patterns, where=NAME, hints=GROUPS)
        return build_peft_config(self.config, module, layers, where=NAME)

    def pace(self, name: str) -> Pace:
        """Return how a weight of the adapter learns, by its full name."""
        return self.config.pace(name)
