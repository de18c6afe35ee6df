"""Which settings decide a run, and in which of them two runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.config import RunConfig, to_plain
from mfl_adapt.config.models import COMPONENT_KEYS
from mfl_adapt.config.yaml_file import read_layer

# What changes no weight: names, places, how often a run says something. Plugins count where the
# sections name their components.
_IDLE = ("name", "output", "plugins", "data.cache", "data.reader.cache", "data.reader.workers")
_IDLE_TRAIN = ("log_every", "sample_every", "save_every")

_UNSET = "not set"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs.

    Attributes:
        key: Dotted key; of a component that was exchanged, its section.
        reference: Its value in the reference.
        other: Its value in the other run.
    """

    key: str
    reference: Any
    other: Any

    def __str__(self) -> str:
        """Return one short text."""
        return f"{self.key} {_show(self.reference)} -> {_show(self.other)}"


def read_settings(file: Path) -> dict[str, Any]:
    """Read what decides a run, by dotted key; a key that an older run lacks has its default.

    Raises:
        ConfigError: If the file cannot be read.
    """
    defaults = dict(_leaves(to_plain(RunConfig())))
    present = dict(_leaves(read_layer(file, "file").data))
    idle = {*_IDLE, *(f"train.{name}" for name in _IDLE_TRAIN)}
    return {key: value for key, value in (defaults | present).items() if key not in idle}


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


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over the plain values of a configuration; a list is one value."""
    if isinstance(value, Mapping) and (value or not key):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
