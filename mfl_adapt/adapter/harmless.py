"""Settings of peft that a stranger's adapter must not use."""

import re
from collections.abc import Iterator
from typing import Any

from mfl_adapt.errors import AdapterError

_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")
_REPEATS = re.compile(r"[*+]|\{\d*,")
_MOST_REPEATS, _LONGEST = 8, 20_000


def check_harmless(config: Any, where: str) -> None:
    """Raise where peft would import what the settings name, or search in them for hours.

    Args:
        config: peft's settings, before they are applied.
        where: The base, for the message.

    Raises:
        AdapterError: Naming the setting.
    """
    # peft imports the module that stands in ``megatron_core``; early versions, any module.
    if getattr(config, "megatron_config", None):
        raise AdapterError(
            f"{where}: expected an adapter without megatron_config, got one that has peft import "
            f"{getattr(config, 'megatron_core', None)!r:.60}. Nothing was imported; do not use it."
        )
    for name, pattern in _patterns(config):
        repeats = len(_REPEATS.findall(pattern))
        if _REPEATED_GROUP.search(pattern) or repeats > _MOST_REPEATS or len(pattern) > _LONGEST:
            raise AdapterError(
                f"{where}: expected {name} to be names of layers or a plain pattern, got "
                f"{pattern!r:.60}, which can take for ever to match. List the layers."
            )


def _patterns(config: Any) -> Iterator[tuple[str, str]]:
    """What peft takes for regular expressions: whole texts, and the keys of two mappings."""
    for name in ("target_modules", "exclude_modules", "layers_pattern", "feedforward_modules"):
        value = getattr(config, name, None)
        if isinstance(value, str):
            yield name, value
    for one in getattr(config, "layers_pattern", None) or ():
        yield "layers_pattern", str(one)
    for name in ("rank_pattern", "alpha_pattern"):
        for key in getattr(config, name, None) or {}:
            yield name, str(key)
