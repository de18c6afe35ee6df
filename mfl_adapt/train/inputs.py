"""What decides the numbers of a run: written into the passport, compared when it is repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.adapter.passport import describe_base, to_json
from mfl_adapt.config import shorten_paths, to_plain
from mfl_adapt.data import fingerprint
from mfl_adapt.files import digest_source
from mfl_adapt.pipeline import OpenRun
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.train.environment import environment

# Where a run writes, and what it is called, changes nothing about what it learns.
_FREE = {"config.name", "config.output", "config.data.cache"}
_ABSENT = "nothing"
LATER = {"environment.processes": 1, "config.train.micro_batch": None}
"""What earlier versions did not write down, as it was then."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One input of a run that is not what it was.

    Attributes:
        name: Dotted name in the passport.
        recorded: What the passport says; ``"nothing"`` if it does not.
        here: What is here.
    """

    name: str
    recorded: Any
    here: Any

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.name}: {_show(self.recorded)} then, {_show(self.here)} here"


def record_inputs(opened: OpenRun) -> dict[str, Any]:
    """Return what decides the numbers of a run, base and contract apart, as JSON values."""
    split = opened.data.split
    return {
        "config": shorten_paths(to_plain(opened.config))[0],
        "plugins": describe_plugins(opened.host),
        "seeds": {"run": opened.config.seed},
        "data": {
            "fingerprint": fingerprint(opened.data.samples),
            "samples": len(opened.data.samples),
            "train": len(split.train),
            "validation": len(split.validation),
        },
        "environment": environment(),
    }


def describe_plugins(host: PluginHost) -> dict[str, dict[str, str]]:
    """Return who supplies each active plugin, with a digest of its source."""
    return {
        plugin.name: {
            "distribution": plugin.distribution,
            "version": plugin.version,
            "code": _digest(plugin.module),
        }
        for plugin in host.plugins()
        if plugin.state == "active"
    }


def compare_inputs(
    passport: Mapping[str, Any], opened: OpenRun
) -> tuple[int, tuple[Difference, ...]]:
    """Hold a run against a passport.

    Args:
        passport: Of the adapter that was made then.
        opened: The run, as it would be here.

    Returns:
        How many inputs were compared, and those that differ.
    """
    here = record_inputs(opened) | {
        "base": describe_base(opened.base),
        "contract": asdict(opened.base.contract),
    }
    recorded = {name: passport.get(name) for name in here}
    before, now = LATER | dict(leaves(recorded)), dict(leaves(to_json(here)))
    names = sorted((before.keys() | now.keys()) - _FREE)
    both = ((name, before.get(name, _ABSENT), now.get(name, _ABSENT)) for name in names)
    return len(names), tuple(Difference(*one) for one in both if one[1] != one[2])


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over the plain values of a nested mapping, with dotted names."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif value is not None or path.count("."):
        yield path, value


def _digest(module: Any) -> str:
    file = getattr(module, "__file__", None)
    return "" if file is None else digest_source(Path(file))


def _show(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 64 else f"{text[:16]}..."
