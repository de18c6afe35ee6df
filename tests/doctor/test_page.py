"""The page of codes is written from the code, and says nothing that is not so."""

import re
from functools import cache

import pytest
from fake_plugins import site
from helpers import ROOT
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.doctor.codes import BRINGS, CODES
from mfl_adapt.doctor.explain import explain
from mfl_adapt.doctor.failures import FAILURES
from mfl_adapt.doctor.page import codes_of, list_sections, write_page
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import CheckSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.guards.table import GUARDS

__all__ = ["site"]

PAGE = ROOT / "docs" / "checks.md"


@pytest.fixture(scope="module")
def host():
    return load_plugins(["facelift_checks"])


@pytest.fixture(scope="module")
def check_codes(host):
    return {one.spec.code for one in host.components(CheckSpec)}


@cache
def error_codes():
    """Codes that errors carry, as they stand in the source; those of findings are elsewhere."""
    found = set()
    for path in [*(ROOT / "mfl_adapt").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        if "mfl_adapt_facelift_checks" not in path.parts:
            found |= set(re.findall(r'\bcode ?= ?"(MFL\d+)"', path.read_text(encoding="utf-8")))
    return found


def test_the_page_is_what_the_code_says(host):
    wanted = write_page(host, GUARDS) + "\n"
    assert PAGE.read_text(encoding="utf-8") == wanted, (
        "Run: mfl-adapt doctor --explain all > docs/checks.md"
    )


def test_all_failures_are_there_in_order_and_each_has_an_answer():
    assert [one.number for one in FAILURES] == list(range(1, 63))
    silent = [one.number for one in FAILURES if not codes_of(one, GUARDS) and not one.answer]
    assert silent == []


def test_codes_are_unique_and_all_have_words(check_codes):
    guards = [one.code for one in GUARDS]
    assert len(set(guards)) == len(guards)
    assert not set(guards) & (check_codes | set(CODES))
    assert set(CODES) == check_codes | error_codes() | {"MFL046", "MFL047"}
    assert all(one.remedy.endswith(".") for one in CODES.values())
    assert len({one.title for one in CODES.values()}) == len(CODES)


def test_codes_of_errors_say_what_refuses_them():
    assert {code for code, one in CODES.items() if one.error} == error_codes() | {"MFL066"}


def test_codes_of_failures_exist():
    named = {code for one in FAILURES for code in one.codes}
    assert named <= set(CODES)
    # What belongs to no failure of the field is of adapters, machines and runs, or a habit.
    rest = {"MFL066", "MFL067", "MFL068", "MFL072", "MFL073", "MFL074", "MFL101", "MFL102"}
    assert set(CODES) - named == rest
    assert {code for key, codes in BRINGS.items() for code in (key, *codes)} <= set(CODES)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: f"F{one.number}")
def test_what_is_claimed_is_shown_by_a_test(failure):
    for place in failure.shown:
        file, _, name = place.partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in source, place
    assert bool(failure.answer) >= bool(failure.shown)


def test_every_section_has_what_a_reader_needs(host):
    for one in list_sections(host, GUARDS):
        text = "\n".join(one.lines)
        assert "**Remedy:**" in text, one.code
        assert one.title, one.code


def test_links_within_the_page_lead_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"\(#(\w+)\)", text)) <= set(re.findall(r'<a id="(\w+)">', text))


def test_one_code_in_the_terminal(host):
    text = explain("mfl004", host, GUARDS)
    assert text.startswith("MFL004: mask centres that do not meet\n\n")
    assert "F4, intrinsics overwritten" in text
    assert not re.search(r"\*\*|``|\]\(", text)
    assert explain("4", host, GUARDS) == text
    with pytest.raises(ConfigError, match="expected a code, got 'MFL999'"):
        explain("MFL999", host, GUARDS)


def test_the_command_explains_and_examines_nothing():
    result = CliRunner().invoke(app, ["doctor", "--explain", "MFL113"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "guard of training" in result.stdout.lower()


WHISKERS = '''
class Limits(ComponentConfig):
    most: int = 3


class Whiskers:
    """Warning RAT001: whiskers are there."""

    def __init__(self, config):
        pass

    def __call__(self, facts):
        return []


@hookimpl
def register_components():
    build = __name__ + ":Whiskers"
    common = dict(config=Limits, build=build, code="RAT001", subject="sample")
    return [CheckSpec(name="whiskers", summary="Whiskers", **common)]
'''


def test_a_check_of_another_author_has_a_section(site):
    text = explain("RAT001", load_plugins([site.file("rat.py", WHISKERS)]), GUARDS)
    assert text.startswith("RAT001: Whiskers\n\nrat.whiskers looks at every sample.")
    assert "Thresholds: most 3." in text


def test_a_check_of_an_installed_plugin_needs_no_option(site):
    """Nor does a broken one beside it keep anybody from an answer."""
    site.add("rats", {"rat": WHISKERS, "rotten": "import there_is_no_such_module"})
    result = CliRunner().invoke(app, ["doctor", "--explain", "rat001"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("RAT001: Whiskers\n\nrat.whiskers looks at every sample.")


def test_an_unknown_code_says_where_others_may_be(site):
    site.add("rats", {"rat": WHISKERS})
    result = CliRunner().invoke(app, ["doctor", "--explain", "RAT002"])
    assert result.exit_code == 1
    assert "expected a code, got 'RAT002'. Did you mean 'RAT001'?" in result.stderr
    assert "--plugins ./FILE.py" in result.stderr
