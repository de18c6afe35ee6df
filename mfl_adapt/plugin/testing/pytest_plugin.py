"""Adds the rules as tests to any run of pytest: ``--mfl-plugin NAME --mfl-data PATH``.

The two can also stand in the configuration of pytest, as ``mfl_plugin`` and ``mfl_data``.
"""

from __future__ import annotations

from typing import Any

import pytest

from mfl_adapt.plugin.testing.rule import Rule
from mfl_adapt.plugin.testing.session import Session
from mfl_adapt.plugin.testing.suite import report_to_pytest


def pytest_addoption(parser: Any) -> None:
    """Offer the two options."""
    group = parser.getgroup("mfl_adapt", "conformance of mfl_adapt plugins")
    texts = {
        "plugin": "Plugin whose conformance is tested.",
        "data": "Example data of its readers.",
    }
    for key, text in texts.items():
        group.addoption(f"--mfl-{key}", default=None, help=text)
        parser.addini(f"mfl_{key}", text, default="")


class RuleItem(pytest.Item):
    """One rule for one component, as a test."""

    def __init__(self, *, rule: Rule, component: str, tested: Session, **more: Any) -> None:
        super().__init__(**more)
        self._rule, self._component, self._tested = rule, component, tested

    def runtest(self) -> None:
        """Apply the rule."""
        report_to_pytest(self._tested.outcome(self._rule, self._component))

    def repr_failure(self, excinfo: Any, style: Any = None) -> str:
        """Show the one line that says what is wrong; the way there is of no interest."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Name the test in lists of failures."""
        return self.path, None, f"{self.name}: {self._rule.says}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: Any, config: Any, items: list[Any]) -> None:
    """Append one test per rule, before tests are chosen by name."""
    plugin = config.getoption("--mfl-plugin") or config.getini("mfl_plugin")
    data = config.getoption("--mfl-data") or config.getini("mfl_data")
    if not plugin:
        return
    tested = Session(plugin, data or None)
    items.extend(
        RuleItem.from_parent(
            session,
            name=f"{rule.name}[{component}]",
            rule=rule,
            component=component,
            tested=tested,
        )
        for rule, component in tested.pairs()
    )
