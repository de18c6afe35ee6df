"""What the kit found out about a plugin."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.testing.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """Outcomes of all rules that concern a plugin.

    Attributes:
        plugin: Its name.
        outcomes: In the order of the components and of the rules.
    """

    plugin: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Outcomes of rules that the plugin breaks."""
        return tuple(one for one in self.outcomes if one.status == "failed")

    @property
    def unchecked(self) -> tuple[Outcome, ...]:
        """Outcomes of rules that could not be tried, each with its reason."""
        return tuple(one for one in self.outcomes if one.status == "not checked")

    def raise_if_failed(self) -> None:
        """Stop where the plugin breaks a rule.

        Raises:
            PluginError: With the first rule it breaks and the names of the others.
        """
        if not self.failed:
            return
        others = ", ".join(one.id for one in self.failed[1:])
        more = f" It also breaks {others}." if others else ""
        raise PluginError(f"plugin {self.plugin!r}: {self.failed[0].line()}{more}")

    def lines(self) -> list[str]:
        """Lay out what failed, what is not known and why, and the totals as plain text."""
        reasons: dict[tuple[str, str], list[str]] = {}
        for one in self.unchecked:
            reasons.setdefault((one.component, one.note), []).append(one.rule)
        unknown = [
            f"{', '.join(rules)} [{component}] not checked: {note}"
            for (component, note), rules in reasons.items()
        ]
        return [*(one.line() for one in self.failed), *unknown, self.summary()]

    def summary(self) -> str:
        """Count the outcomes in one line."""
        counts = Counter(one.status for one in self.outcomes)
        return (
            f"{self.plugin}: {counts['passed']} passed, {counts['failed']} failed, "
            f"{counts['not checked']} not checked, {counts['not applicable']} not applicable"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "schema": 1,
            "plugin": self.plugin,
            "passed": not self.failed,
            "outcomes": [one.to_json() for one in self.outcomes],
        }
