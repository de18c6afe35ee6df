"""What plugins for low-rank adapters share: settings, targets by name, and peft's settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pydantic import Field

from mfl_adapt.errors import AdapterError, did_you_mean
from mfl_adapt.plugin.specs import ComponentConfig

if TYPE_CHECKING:
    import peft


class LoraSettings(ComponentConfig):
    """Rank and strength of low-rank updates, in peft's words."""

    r: int = Field(default=16, ge=1, description="Rank of each update.")
    lora_alpha: int = Field(
        default=16, ge=1, description="The update is multiplied by lora_alpha / r."
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a layer's input dropped while training."
    )
    use_rslora: bool = Field(default=False, description="Multiply by lora_alpha / sqrt(r) instead.")


def build_peft_config(settings: LoraSettings, layers: Sequence[str]) -> peft.LoraConfig:
    """Return peft's settings for some layers.

    Args:
        settings: Rank and strength.
        layers: Full names of the layers, sorted; peft would also take endings and guess.
    """
    import peft

    return peft.LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.use_rslora,
        target_modules=list(layers),
    )


def match_layers(
    names: Sequence[str], patterns: Sequence[str], *, where: str, hints: Iterable[str] = ()
) -> list[str]:
    """Names of the layers that the patterns mean, sorted.

    A pattern is compared with the full dotted name and with every ending of it that starts at a
    dot; ``*`` stands for anything, dots included.

    Args:
        names: Full names of all layers that an adapter could take.
        patterns: For instance ``attn1.to_q`` or ``mid_block.*``.
        where: The component, for messages.
        hints: Other words that the user may have meant, such as names of groups.

    Returns:
        Full names, each once.

    Raises:
        AdapterError: If there is no pattern, or one that matches no layer.
    """
    if not patterns:
        raise AdapterError(
            f"{where}: expected at least one pattern in targets, got none. "
            "Leave targets out to adapt the usual layers."
        )
    found: set[str] = set()
    for pattern in patterns:
        matched = [name for name in names if _matches(name, pattern)]
        if not matched:
            raise AdapterError(
                f"{where}: expected targets that match a layer of the base, "
                f"got {pattern!r}. {did_you_mean(pattern, _endings(names) | set(hints))}"
            )
        found.update(matched)
    return sorted(found)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _endings(names: Sequence[str]) -> set[str]:
    """What a user may have meant: ``to_qkv`` or ``attn.to_qkv``, but no bare number."""
    last = {name.rsplit(".", 1)[-1] for name in names}
    last_two = {".".join(name.split(".")[-2:]) for name in names}
    return last_two | {ending for ending in last if not ending.isdigit()}
