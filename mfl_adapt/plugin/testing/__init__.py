'''The conformance kit: whether a plugin keeps the promises of its slots.

Every rule has a stable name, looks at one component, and passes, fails, does not apply, or says
why it could not be checked. All of them, for an installed plugin or a single file:

    from mfl_adapt.plugin.testing import check_plugin

    report = check_plugin("finch", data="tests/data/aviary")
    print(report.summary())
    report.raise_if_failed()

A package tests itself with one pytest test per rule and component, named like
``test_conformance[R02-order[finch.birds]]``:

    """tests/test_conformance.py"""

    from mfl_adapt.plugin.testing import conformance_tests

    test_conformance = conformance_tests("finch", data="tests/data/aviary")

A reader of files is only read where ``data`` names a small example of its layout, and a component
that has settings without a default needs them: ``settings={"birds": {"fps": 30}}``. What cannot be
tried for want of either is skipped with that reason, never passed. The same rules run without a
test file as ``mfl-adapt plugins check finch --data PATH``, and within any run of pytest by

    pytest -p mfl_adapt.plugin.testing.pytest_plugin --mfl-plugin finch --mfl-data PATH

or by ``pytest_plugins = ["mfl_adapt.plugin.testing.pytest_plugin"]`` in the top ``conftest.py``.
'''

from mfl_adapt.plugin.testing.outcome import Outcome
from mfl_adapt.plugin.testing.report import ConformanceReport
from mfl_adapt.plugin.testing.rule import Rule
from mfl_adapt.plugin.testing.rules import RULES
from mfl_adapt.plugin.testing.session import Session, check_plugin
from mfl_adapt.plugin.testing.suite import conformance_tests

__all__ = [
    "RULES",
    "ConformanceReport",
    "Outcome",
    "Rule",
    "Session",
    "check_plugin",
    "conformance_tests",
]
