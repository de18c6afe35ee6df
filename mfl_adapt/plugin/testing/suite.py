"""One pytest test per rule and component."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.testing.outcome import Outcome
from mfl_adapt.plugin.testing.rule import Rule
from mfl_adapt.plugin.testing.session import Session, Settings


def conformance_tests(
    name: str | Path, data: str | Path | None = None, settings: Settings | None = None
) -> Callable[[Rule, str], None]:
    """Make a parametrised pytest test; assign it to a name that begins with ``test_``.

    Rules that do not apply, or cannot be checked, are skipped with their reason.

    Args:
        name: Name of an installed plugin, or path of a single-file one.
        data: A small example of what its readers read.
        settings: By component, settings to build it with.

    Returns:
        The test.

    Raises:
        PluginError: If there is no such plugin.
        ConfigError: If the data do not exist, or settings name no component.
    """
    import pytest

    session = Session(name, data, settings)
    pairs = session.pairs()
    ids = [f"{rule.name}[{component}]" for rule, component in pairs]

    @pytest.mark.parametrize(("rule", "component"), pairs, ids=ids)
    def test_conformance(rule: Rule, component: str) -> None:
        report_to_pytest(session.outcome(rule, component))

    return test_conformance


def report_to_pytest(outcome: Outcome) -> None:
    """Fail or skip the running test, as the outcome says.

    Raises:
        PluginError: If the rule failed.
    """
    import pytest

    if outcome.status == "failed":
        raise PluginError(outcome.line())
    if outcome.status != "passed":
        pytest.skip(f"{outcome.status}: {outcome.note}")
