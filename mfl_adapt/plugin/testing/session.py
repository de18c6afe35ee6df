"""Runs rules over the components of one plugin, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfl_adapt.errors import ConfigError, PluginError, did_you_mean
from mfl_adapt.plugin.discovery import plugin_name
from mfl_adapt.plugin.manager import Plugin, collect
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.plugin.testing.outcome import Outcome, VerdictError
from mfl_adapt.plugin.testing.report import ConformanceReport
from mfl_adapt.plugin.testing.rule import Case, Rule
from mfl_adapt.plugin.testing.rules import RULES
from mfl_adapt.plugin.testing.worker import Worker

Settings = Mapping[str, Mapping[str, Any]]


def check_plugin(
    name: str | Path,
    data: str | Path | None = None,
    only: Sequence[str] | None = None,
    settings: Settings | None = None,
) -> ConformanceReport:
    """Hold a plugin against every rule that concerns it.

    Args:
        name: Name of an installed plugin, or path of a single-file one.
        data: A small example of what its readers read.
        only: Names of rules or their beginnings (``R``, ``R02``); None takes all.
        settings: By component, settings to build it with; the others take their defaults.

    Returns:
        One outcome per rule and component.

    Raises:
        PluginError: If there is no such plugin, or another one hides it.
        ConfigError: If ``only`` names no rule, the data do not exist, or settings are given for
            a component that the plugin does not offer.
    """
    session = Session(name, data, settings)
    try:
        outcomes = tuple(session.outcome(*one) for one in session.pairs(only))
    finally:
        session.close()
    return ConformanceReport(session.plugin.name, outcomes)


class Session:
    """One plugin under test; remembers what came of each rule."""

    def __init__(
        self,
        name: str | Path,
        data: str | Path | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Load the plugin, or learn why it cannot be loaded; arguments as for ``check_plugin``.

        Raises:
            PluginError: If there is no such plugin, or another one hides it.
            ConfigError: If the data do not exist, or settings name no component.
        """
        self.plugin = _find(str(name))
        path = None if data is None else Path(data)
        if path is not None and not path.exists():
            raise ConfigError(f"data: expected an existing file or folder, got {path}. Check it.")
        self._worker = Worker(str(name))
        whole = Case(self.plugin, self._worker, data=path)
        if self.plugin.state == "active":
            whole.host = PluginHost([self.plugin])
        self._cases = {whole.name: whole}
        for spec in self.plugin.components:
            given = (settings or {}).get(spec.name, {})
            if not isinstance(given, Mapping):
                raise ConfigError(
                    f"settings.{spec.name}: expected keys and values, got {given!r}. "
                    f"Write {spec.name}.KEY=VALUE."
                )
            case = Case(self.plugin, self._worker, whole.host, spec, given, path)
            self._cases[case.name] = case
        known = [spec.name for spec in self.plugin.components]
        for unknown in sorted(set(settings or {}) - set(known)):
            raise ConfigError(
                f"settings: expected a component of {self.plugin.name!r}, got {unknown!r}. "
                f"{did_you_mean(unknown, known)}"
            )
        self._outcomes: dict[tuple[str, str], Outcome] = {}

    def close(self) -> None:
        """End the process that was started for rules about other processes, if one was."""
        self._worker.close()

    def pairs(self, only: Sequence[str] | None = None) -> list[tuple[Rule, str]]:
        """Return rule and component of all that concerns the plugin.

        Raises:
            ConfigError: If a name in ``only`` begins no rule's.
        """
        for start in only or ():
            if not any(rule.name.startswith(start) for rule in RULES):
                names = [rule.name for rule in RULES]
                raise ConfigError(
                    f"only: expected the beginning of a rule's name, got {start!r}. "
                    f"{did_you_mean(start, names)}"
                )
        chosen = [r for r in RULES if only is None or r.name.startswith(tuple(only))]
        return [
            (rule, case.name)
            for case in self._cases.values()
            for rule in chosen
            if (isinstance(case.spec, rule.slots) if case.spec else not rule.slots)
        ]

    def outcome(self, rule: Rule, component: str) -> Outcome:
        """Apply a rule, after those that it needs; a second call returns the first's answer."""
        key = (rule.name, component)
        if key not in self._outcomes:
            self._outcomes[key] = self._apply(rule, component)
        return self._outcomes[key]

    def _apply(self, rule: Rule, component: str) -> Outcome:
        case = self._cases[component]
        for needed in (one for one in RULES if one.name in rule.needs):
            if case.spec is not None and not isinstance(case.spec, needed.slots):
                continue
            before = self.outcome(needed, component)
            if before.status in {"failed", "not checked"}:
                reason = before.note if before.status == "not checked" else ""
                note = reason or f"needs {needed.name}, which failed"
                return Outcome(rule.name, component, "not checked", note=note)
        try:
            return Outcome(rule.name, component, "passed", note=rule.check(case) or "")
        except VerdictError as verdict:
            return Outcome(rule.name, component, **verdict.fields)


def _find(entry: str) -> Plugin:
    """Load the plugin that an entry names, whatever its state.

    Raises:
        PluginError: If there is none, or another one hides it.
    """
    wanted = plugin_name(entry)
    found = [one for one in collect([entry], strict=False) if one.name == wanted]
    usable = [one for one in found if one.state != "shadowed"]
    if not usable:
        raise PluginError(
            f"plugin {wanted!r}: expected one that is not hidden, got {found[0].reason or 'none'}"
        )
    return usable[0]
