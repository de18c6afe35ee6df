"""LoRA by peft, with targets that are known to exist."""

from fnmatch import fnmatchcase

import peft
from torch import nn

from mfl_adapt.errors import AdapterError, did_you_mean

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
        return peft.LoraConfig(
            r=self.config.r,
            lora_alpha=self.config.lora_alpha,
            lora_dropout=self.config.lora_dropout,
            use_rslora=self.config.use_rslora,
            target_modules=match_layers(module, patterns),
        )


def match_layers(module: nn.Module, patterns: tuple[str, ...]) -> list[str]:
    """Names of the linear layers that the patterns mean, sorted.

    A pattern is compared with the full dotted name and with every ending of it that starts at a
    dot; ``*`` stands for anything, dots included.

    Args:
        module: Network to look into.
        patterns: For instance ``attn.to_qkv`` or ``transformer_layers.0.*``.

    Returns:
        Full names, each once.

    Raises:
        AdapterError: If there is no pattern, or one that matches no linear layer.
    """
    if not patterns:
        raise AdapterError(
            "lora_gslrm.lora: expected at least one pattern in targets, got none. "
            "Leave targets out to adapt all linear layers of the transformer."
        )
    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    found: set[str] = set()
    for pattern in patterns:
        matched = [name for name in names if _matches(name, pattern)]
        if not matched:
            raise AdapterError(
                f"lora_gslrm.lora: expected targets that match a linear layer of the base, "
                f"got {pattern!r}. {did_you_mean(pattern, _endings(names))}"
            )
        found.update(matched)
    return sorted(found)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _endings(names: list[str]) -> set[str]:
    """What a user may have meant: ``to_qkv`` or ``attn.to_qkv``, but no bare number."""
    last = {name.rsplit(".", 1)[-1] for name in names}
    last_two = {".".join(name.split(".")[-2:]) for name in names}
    return last_two | {ending for ending in last if not ending.isdigit()}
