"""Which layers of a base a user means by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from mfl_adapt.errors import AdapterError, did_you_mean


def match_layers(
    names: Sequence[str],
    patterns: Sequence[str],
    *,
    where: str,
    hints: Iterable[str] = (),
    setting: str = "targets",
    among: str = "a layer of the base",
) -> list[str]:
    """Names of the layers that the patterns mean, sorted.

    A pattern is compared with the full dotted name and with every ending of it that starts at a
    dot; ``*`` stands for anything, dots included.

    Args:
        names: Full names of all layers that an adapter could take.
        patterns: For instance ``attn1.to_q`` or ``mid_block.*``.
        where: The component, for messages.
        hints: Other words that the user may have meant, such as names of groups.
        setting: The setting that holds the patterns, for messages.
        among: What the names are, for messages.

    Returns:
        Full names, each once.

    Raises:
        AdapterError: If there is no pattern, or one that matches no layer.
    """
    if not patterns:
        raise AdapterError(
            f"{where}: expected at least one pattern in {setting}, got none. "
            f"Leave {setting} out to take what is usual."
        )
    found: set[str] = set()
    for pattern in patterns:
        matched = [name for name in names if _matches(name, pattern)]
        if not matched:
            raise AdapterError(
                f"{where}: expected {setting} that match {among}, "
                f"got {pattern!r}. {did_you_mean(pattern, _endings(names) | set(hints))}"
            )
        found.update(matched)
    return sorted(found)


def by_layer(
    patterns: Mapping[str, int], layers: Sequence[str], *, where: str, setting: str
) -> dict[str, int]:
    """Spread numbers given by pattern over the chosen layers.

    Args:
        patterns: Number by pattern; the order says nothing.
        layers: Full names of the layers that the adapter takes.
        where: The component, for messages.
        setting: The setting that holds the patterns, for messages.

    Returns:
        Number by full name, sorted; layers that no pattern means are left out.

    Raises:
        AdapterError: If a pattern matches none of the layers, or two give one layer two numbers.
    """
    numbers: dict[str, tuple[int, str]] = {}
    among = "a layer that the adapter takes"
    for pattern, number in patterns.items():
        for name in match_layers(layers, [pattern], where=where, setting=setting, among=among):
            other, first = numbers.setdefault(name, (number, pattern))
            if other != number:
                raise AdapterError(
                    f"{where}: expected one number in {setting} for each layer, got {other} "
                    f"({first!r}) and {number} ({pattern!r}) for {name}. Narrow one pattern."
                )
    return {name: numbers[name][0] for name in sorted(numbers)}


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _endings(names: Sequence[str]) -> set[str]:
    """What a user may have meant: ``to_qkv`` or ``attn.to_qkv``, but no bare number."""
    last = {name.rsplit(".", 1)[-1] for name in names}
    last_two = {".".join(name.split(".")[-2:]) for name in names}
    return last_two | {ending for ending in last if not ending.isdigit()}
