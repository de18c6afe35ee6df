"""What may have made one run differ from another: settings, base, data, plugins and software.

A setting that changes no weight is no cause. Where data and weights lie is none either, as long as
they are the same by their hashes; and the same path is no proof that they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.adapter.header import read_header
from mfl_adapt.config import IDLE_KEYS, is_below
from mfl_adapt.evaluate.settings import Change, find_changes, leaves

if TYPE_CHECKING:
    from mfl_adapt.evaluate.stored_scores import StoredScores

_SECTIONS = ("base", "data", "plugins", "environment")
_FILES = ("base.checkpoint", "base.config", "base.folder")
# These change which samples are used for what, and not the samples.
_OF_USE = ("data.path", "data.split", "data.views")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Causes:
    """In what two runs differ.

    Attributes:
        changes: What changes the weights: settings, base, data, and code of the plugins in use.
        idle: Settings that change none.
        software: The machine, its packages, and all other code, which may move the last digits.
        inputs_known: Whether base, data, plugins and software of both runs are known.
    """

    changes: tuple[Change, ...]
    idle: tuple[Change, ...] = ()
    software: tuple[Change, ...] = ()
    inputs_known: bool = False

    def notes(self) -> list[str]:
        """Say what a difference may, and may not, be put down to."""
        said = []
        if self.changes:
            said.append(f"differs in {'; '.join(map(str, self.changes))}")
        else:
            rest = ", and base, data and plugins are the same" if self.inputs_known else ""
            said.append(f"no setting differs that changes a weight{rest}")
        if not self.inputs_known:
            said.append(
                "whether base, data and plugins are the same is not known: a run has no adapter "
                "with a passport"
            )
        if len(self.changes) > 1:
            kind = "things" if any(one.is_input for one in self.changes) else "settings"
            said.append(
                f"{len(self.changes)} {kind} differ, so that no one of them can be credited with "
                "the difference"
            )
        if self.idle:
            said.append(f"without changing a weight, differs in {'; '.join(map(str, self.idle))}")
        if self.software:
            shown = "; ".join(map(str, self.software[:_SHOWN]))
            more = len(self.software) - _SHOWN
            said.append(
                "made with other software or on another machine, which may move the last digits: "
                f"{shown}{f'; and {more} more' if more > 0 else ''}"
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "settings": [one.to_json() for one in self.changes],
            "settings_without_effect": [one.to_json() for one in self.idle],
            "software": [one.to_json() for one in self.software],
            "inputs_known": self.inputs_known,
        }


def read_inputs(run: Path) -> dict[str, Any] | None:
    """Read what decided a run beside its settings; None if it left no adapter.

    Raises:
        AdapterError: If the adapter cannot be read.
    """
    if not (run / "adapter").exists():
        return None
    passport = read_header(run / "adapter").passport
    found = {name: passport.get(name) for name in _SECTIONS}
    return {name: one if isinstance(one, Mapping) else {} for name, one in found.items()}


def find_causes(reference: StoredScores, run: StoredScores) -> Causes | None:
    """Find in what two runs differ; None if the settings of one are not known."""
    if reference.settings is None or run.settings is None:
        return None
    changes = find_changes(reference.settings, run.settings)
    if reference.inputs is None or run.inputs is None:
        idle = tuple(one for one in changes if is_below(one.key, IDLE_KEYS))
        return Causes(tuple(one for one in changes if one not in idle), idle)
    before, after = reference.inputs, run.inputs
    same_base = before["base"] == after["base"]
    fingerprints = [side["data"].get("fingerprint") for side in (before, after)]
    same_data = fingerprints[0] == fingerprints[1]
    proven = (*(_FILES if same_base else ()), *(("data.path",) if same_data else ()))
    idle = tuple(one for one in changes if is_below(one.key, (*IDLE_KEYS, *proven)))
    found = [one for one in changes if one not in idle]
    if not same_base and not any(is_below(one.key, ("base",)) for one in found):
        found.append(_of_base(before["base"], after["base"]))
    if not same_data and not any(_explains_data(one.key) for one in found):
        then, now = map(_fingerprint, fingerprints)
        found.append(Change("data", then, now, is_input=True))
    code = list(_of_plugins(before["plugins"], after["plugins"]))
    used = _plugins_of(reference.settings) | _plugins_of(run.settings)
    found += [one for one in code if one.key.split(".")[1] in used]
    software = [one for one in code if one not in found]
    software += _of_software(before["environment"], after["environment"])
    return Causes(tuple(found), idle, tuple(software), inputs_known=True)


def _of_base(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    key = next(
        (one for one in ("sha256", "fingerprint", "id") if before.get(one) != after.get(one)),
        "sha256",
    )
    then, now = (f"{side.get(key)!s:.16}" for side in (before, after))
    return Change(f"base.{key}", then, now, is_input=True)


def _explains_data(key: str) -> bool:
    """Whether a setting that differs makes other samples of the same files, or names others."""
    return key == "data.path" or (is_below(key, ("data",)) and not is_below(key, _OF_USE))


def _fingerprint(value: Any) -> str:
    return f"fingerprint {value!s:.12}"


def _of_plugins(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Plugins that were active in both, with other code; one in use shows in the settings."""
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield Change(f"plugins.{name}", _code(before[name]), _code(after[name]), is_input=True)


def _code(described: Any) -> str:
    if not isinstance(described, Mapping):
        return str(described)
    return f"{described.get('version')} (code {described.get('code')!s:.8})"


def _of_software(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    # Runs of one process did not always write that down.
    sides = [{"processes": 1} | dict(leaves(side)) for side in (before, after)]
    return [
        Change(key, sides[0].get(key), sides[1].get(key), is_input=True)
        for key in sorted(sides[0].keys() | sides[1].keys())
        if sides[0].get(key) != sides[1].get(key)
    ]


def _plugins_of(settings: Mapping[str, Any]) -> set[str]:
    """Plugins whose components the settings name."""
    names = {key.split(".")[1] for key in settings if key.startswith("losses.")}
    for key, value in settings.items():
        steps = value if isinstance(value, list) else []
        named = [one.get("use") for one in steps if isinstance(one, Mapping)]
        if key.endswith((".use", "base.id")):
            named.append(value)
        names |= {str(one).partition(".")[0] for one in named}
    return names
