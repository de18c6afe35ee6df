"""Every seeded bug breaks its rule and no other; the sound plugins break none."""

from collections import Counter
from pathlib import Path

import pytest
from kit_aviary import write_aviary
from kit_bugs import BUGS

from mfl_adapt.plugin.testing import RULES, check_plugin
from mfl_adapt.plugin.testing.probes import make_probe

SOUND = Path(__file__).parent / "sound"
# Rules that start a process take a second or more each; a slow test applies them to every bug.
IN_A_PROCESS = {"P05-light", "R08-workers", "S09-workers", "V05-workers", "E04-whole"}
# Loading a small base takes seconds.
ON_A_BASE = {"sound_adapter"}


@pytest.fixture(scope="module")
def aviary(tmp_path_factory):
    return write_aviary(tmp_path_factory.mktemp("aviary"))


def data_of(plugin, aviary):
    return aviary if plugin == "sound_reader" else None


def write(bug, folder):
    """The sound plugin with the bug in it, under the same name."""
    text = (SOUND / f"{bug.plugin}.py").read_text()
    assert bug.old in text
    path = folder / f"{bug.plugin}.py"
    head = "from dataclasses import replace\n"
    path.write_text(head + text.replace(bug.old, bug.new))
    return path


def broken(path, aviary, only=None):
    report = check_plugin(path, data_of(path.stem, aviary), only)
    return {one.rule for one in report.failed}, report


def test_there_are_more_than_twenty():
    assert len(BUGS) > 20
    assert len({(bug.plugin, bug.name) for bug in BUGS}) == len(BUGS)


def test_every_rule_that_a_small_plugin_can_break_has_a_bug():
    without = {rule.name for rule in RULES} - {bug.rule for bug in BUGS}
    # Bases are large, and peft does not let an adapter break the rest.
    assert {name for name in without if name[0] not in "AB"} == set()


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(
            bug,
            id=f"{bug.rule}-{bug.name}",
            marks=[pytest.mark.slow] if bug.plugin in ON_A_BASE else [],
        )
        for bug in BUGS
    ],
)
def test_a_bug_breaks_its_rule_and_no_other(bug, tmp_path, aviary):
    only = [rule.name for rule in RULES if rule.name not in IN_A_PROCESS - {bug.rule}]
    found, report = broken(write(bug, tmp_path), aviary, only)
    assert found == {bug.rule}, "\n".join(one.line() for one in report.failed)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=[f"{bug.rule}-{bug.name}" for bug in BUGS])
def test_a_bug_breaks_its_rule_and_no_other_in_another_process(bug, tmp_path, aviary):
    found, report = broken(write(bug, tmp_path), aviary)
    assert found == {bug.rule}, "\n".join(one.line() for one in report.failed)


def test_a_plugin_that_edits_what_it_is_given_spoils_no_other(tmp_path, aviary):
    """Several plugins are checked in one process, and none answers for another's bug."""
    editing = [bug for bug in BUGS if bug.name in {"edit_in_place", "edits_what_it_sees"}]
    rules = [rule.name for rule in RULES if rule.name not in IN_A_PROCESS]
    before = [probe_bytes(kind) for kind in ("raw", "slots")]
    for bug in editing:
        broken(write(bug, tmp_path), aviary, rules)
    assert len(editing) == 2
    assert [probe_bytes(kind) for kind in ("raw", "slots")] == before


def probe_bytes(kind):
    views = make_probe(kind).sample.views
    return [(one.rgb.tobytes(), one.mask.tobytes(), one.c2w.tobytes()) for one in views]


@pytest.mark.parametrize(
    "plugin",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in ON_A_BASE else [])
        for path in sorted(SOUND.glob("*.py"))
    ],
)
def test_a_sound_plugin_passes_every_rule(plugin, aviary):
    found, report = broken(plugin, aviary)
    assert found == set(), "\n".join(one.line() for one in report.failed)
    assert report.unchecked == ()
    passed = Counter(one.status for one in report.outcomes)["passed"]
    assert passed == len(report.outcomes)
