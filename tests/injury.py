"""What an injury is: damage done to something sound, and what must be said of it.

Tables of injuries stand beside the tests that do the damage: ``injured_data``, ``injured_rigs``,
``injured_settings``, ``injured_runs`` and ``injured_machines`` of ``tests/doctor``, and
``guard_injuries`` for training. ``test_injuries.py`` walks over all codes that there are and fails
where one has no injury, so that nobody adds a check that was never seen to find anything.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Injury:
    """One fault, done to something in which there is no other.

    Attributes:
        code: What it is reported as.
        severity: How bad that is; a law ends the doctor with 1.
        value: Regular expression for what is measured of it.
        injure: Does the damage; its table says what it takes.
        where: Regular expression for where it is said to be.
        failures: Failures of the field, 1 to 62, that it is one of.
        also: Codes that cannot but come with it, each with the reason.
    """

    code: str
    severity: str
    value: str
    injure: Callable[..., Any]
    where: str = "."
    failures: tuple[int, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code}-{self.injure.__name__}"


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a short function a name that tells what it does."""
    function.__name__ = name
    return function


def check_injury(
    injury: Injury, findings: Iterable[Mapping[str, Any]], habits: frozenset[str] = frozenset()
) -> None:
    """Assert that it was found, in its own words, and that nothing else was but what comes of it.

    Args:
        injury: What was done.
        findings: All that was found, as in the doctor's JSON.
        habits: Codes of information that the sound thing gives too.
    """
    findings = list(findings)
    said = [one for one in findings if one["code"] not in habits or one["severity"] != "info"]
    shown = [(one["code"], one["severity"], one["where"], one["value"]) for one in said]
    own = [one for one in said if (one["code"], one["severity"]) == (injury.code, injury.severity)]
    assert {one["code"] for one in said} == {injury.code, *injury.also}, shown
    assert any(re.search(injury.value, one["value"]) for one in own), shown
    assert any(re.search(injury.where, one["where"]) for one in own), shown
    for one in own:
        assert one["expected"]
        assert one["remedy"].endswith((".", "?"))
