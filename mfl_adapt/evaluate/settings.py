"""The settings of a run, and in which of them two runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.config import RunConfig, to_plain
from mfl_adapt.config.models import COMPONENT_KEYS
from mfl_adapt.config.yaml_file import read_layer

# What differs between any two runs.
_NAMES = ("name", "output")

_UNSET = "not set"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs.

    Attributes:
        key: Dotted key; of a component that was exchanged, its section.
        reference: Its value in the reference.
        other: Its value in the other run.
        is_input: Whether it is no setting, but something that the run was given.
    """

    key: str
    reference: Any
    other: Any
    is_input: bool = False

    def __str__(self) -> str:
        """Return one short text."""
        return f"{self.key} {_show(self.reference)} -> {_show(self.other)}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"key": self.key, "reference": self.reference, "run": self.other}


def read_settings(file: Path) -> dict[str, Any]:
    """Read the settings of a run by dotted key; one that an older run lacks has its default.

    Raises:
        ConfigError: If the file cannot be read.
    """
    defaults = dict(leaves(to_plain(RunConfig())))
    present = dict(leaves(read_layer(file, "file").data))
    return {key: value for key, value in (defaults | present).items() if key not in _NAMES}


def find_changes(reference: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Change, ...]:
    """List the settings that differ, an exchanged component with all its settings as one."""
    keys = sorted(reference.keys() | other.keys())
    differing = [key for key in keys if reference.get(key, _UNSET) != other.get(key, _UNSET)]
    sections: dict[str, str] = {}
    for keys_of, use in COMPONENT_KEYS.items():
        section = ".".join(map(str, keys_of))
        if f"{section}.{use}" in differing:
            sections[section] = f"{section}.{use}"
    for key in differing:
        # A term of the loss that only one of them has.
        is_weight = key.startswith("losses.") and key.endswith(".weight")
        if is_weight and (key not in reference or key not in other):
            sections[key.removesuffix(".weight")] = key
    found: dict[str, Change] = {}
    for key in differing:
        section = next((one for one in sections if key.startswith(f"{one}.")), "")
        shown = sections.get(section, key)
        values = (side.get(shown, _UNSET) for side in (reference, other))
        found.setdefault(section or key, Change(section or key, *values))
    return tuple(found.values())


def _show(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over the plain values of a configuration; a list is one value."""
    if isinstance(value, Mapping) and (value or not key):
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
