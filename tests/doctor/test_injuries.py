"""No code without an injury: whoever adds a check, a guard or an error says how to provoke it."""

from collections import Counter

import pytest
from guard_injuries import GUARDS
from injured_data import LAB
from injured_machines import MACHINES
from injured_rigs import GENERATED, HABITUAL, LISTED, SLOTTED
from injured_runs import ADAPTERS, RUNS
from injured_settings import SETTINGS

from mfl_adapt.doctor.codes import BRINGS, CODES
from mfl_adapt.doctor.failures import FAILURES
from mfl_adapt.doctor.page import codes_of
from mfl_adapt.plugin import CheckSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.guards.table import GUARDS as ROWS

INJURIES = (
    *(*LAB, *HABITUAL, *SLOTTED, *GENERATED, *LISTED),
    *(*SETTINGS, *RUNS, *ADAPTERS, *MACHINES, *GUARDS),
)
"""All of them; each table is gone through by a test that does the damage."""


def check_codes() -> dict[str, str]:
    """Codes of the checks of all plugins of this project, with the check."""
    installed = load_plugins([], all_available=True, strict=False).plugins()
    names = [one.name for one in installed if one.distribution == "mfl-adapt"]
    found = load_plugins(names).components(CheckSpec)
    assert len(found) == len({one.spec.code for one in found}) >= 52
    return {one.spec.code: one.name for one in found}


def test_every_code_has_an_injury():
    """Checks of plugins, errors of readers and loaders, and guards of training."""
    known = check_codes() | dict.fromkeys(CODES, "error") | {one.code: one.name for one in ROWS}
    injured = {one.code for one in INJURIES}
    missing = {code: name for code, name in known.items() if code not in injured}
    assert missing == {}, "add an Injury to one of the tables that this file imports"
    assert injured <= set(known)


def test_every_failure_that_has_a_code_is_injected():
    """Under one of the codes that the page of the failure names."""
    injected = {(number, one.code) for one in INJURIES for number in one.failures}
    named = {(one.number, code) for one in FAILURES for code in codes_of(one, ROWS)}
    assert injected - named == set()
    visible = {number for number, _ in named}
    assert visible - {number for number, _ in injected} == set()


def test_what_comes_with_an_injury_is_said_to_come_from_it():
    """Else a user would begin with what is not the cause."""
    for one in INJURIES:
        assert one.code not in one.also
        assert all(reason.endswith(".") for reason in one.also.values())
        assert set(one.also) <= _all_below(one.code), str(one)


def _all_below(code: str) -> set[str]:
    below: set[str] = set()
    waiting = [code]
    while waiting:
        new = set(BRINGS.get(waiting.pop(), ())) - below
        below |= new
        waiting += new
    return below


def test_injuries_have_names_of_their_own():
    counts = Counter(str(one) for one in INJURIES)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("injury", INJURIES, ids=str)
def test_severities_are_those_of_findings(injury):
    assert injury.severity in {"law", "warning", "info"}
    assert injury.injure.__doc__ or injury.injure.__name__ != "<lambda>"
