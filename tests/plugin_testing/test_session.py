"""What the kit itself promises: a light import, honest outcomes, one test per rule, one command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from kit_aviary import write_aviary
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.plugin.testing import RULES, Session, check_plugin, conformance_tests

SOUND = Path(__file__).parent / "sound"
LOSS = SOUND / "sound_loss.py"
QUICK = ["P01", "P02", "P03", "P04", "C", "L"]


@pytest.fixture(scope="module")
def broken_loss(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "flat.py"
    text = LOSS.read_text().replace("sound_loss:", "flat:")
    path.write_text(text.replace("dim=(2, 3, 4)) / total", "dim=(1, 2, 3, 4)) / total.sum(1)"))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["plugins", "check", *map(str, arguments)])


def test_the_import_is_light():
    heavy = "{'torch', 'cv2', 'numba', 'peft', 'diffusers', 'scipy', 'pytest'}"
    code = f"import sys, mfl_adapt.plugin.testing; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_names_of_rules_are_unique_and_well_formed():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(name[0] in "PCRSLVDEAB" and name[1:3].isdigit() and name[3] == "-" for name in names)
    assert all(needed in names for rule in RULES for needed in rule.needs)


def test_every_rule_is_in_the_documentation():
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    assert [rule.name for rule in RULES if f"| `{rule.name}` | {rule.says} |" not in text] == []


def test_a_failure_says_where_expected_got_and_what_to_do(broken_loss):
    report = check_plugin(broken_loss, only=QUICK)
    (found,) = report.failed
    assert found.line() == (
        "L01-shape[flat.masked_l1] flat.masked_l1, a mask, [2, 3] views: expected [2, 3], one "
        "value per view, got [2] torch.float32. Reduce over channels and pixels only; weights and "
        "means stay outside."
    )
    with pytest.raises(
        PluginError, match=r"plugin 'flat': L01-shape\[flat.masked_l1\] .* got \[2\]"
    ):
        report.raise_if_failed()


def test_rules_that_hang_on_a_broken_one_are_not_checked(broken_loss):
    report = check_plugin(broken_loss, only=QUICK)
    notes = {one.rule: one.note for one in report.unchecked}
    assert notes["L02-gradients"] == "needs L01-shape, which failed"
    assert notes["L06-outside"] == "needs L01-shape, which failed"


def test_a_sound_plugin_raises_nothing():
    check_plugin(LOSS, only=QUICK).raise_if_failed()


def test_a_reader_without_data_is_not_checked_rather_than_passed():
    report = check_plugin(SOUND / "sound_reader.py", only=["R"])
    wanted = "needs example data: give data=PATH (--data PATH)"
    notes = {one.rule: (one.status, one.note) for one in report.outcomes}
    assert notes.pop("R06-can-read")[0] == "passed"
    assert set(notes.values()) == {("not checked", wanted)}


def test_settings_without_a_default_are_asked_for():
    report = check_plugin("preprocess", only=["S01"])
    (found,) = report.unchecked
    assert "auto_mask.source" in found.note
    given = check_plugin("preprocess", only=["S01"], settings={"auto_mask": {"source": "alpha"}})
    assert given.unchecked == ()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "masked_los"}, PluginError, "Did you mean 'masked_loss'"),
        (
            {"name": "masked_loss", "only": ["Q"]},
            ConfigError,
            "beginning of a rule's name, got 'Q'",
        ),
        ({"name": "masked_loss", "data": "nowhere"}, ConfigError, "got nowhere"),
        ({"name": "masked_loss", "settings": {"masked_l1": {}}}, ConfigError, "got 'masked_l1'"),
        ({"name": "masked_loss", "settings": {"background": 3}}, ConfigError, "got 3"),
    ],
)
def test_wrong_questions_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        check_plugin(**arguments)


def test_what_a_rule_of_the_plugin_breaks_stops_its_components(tmp_path):
    path = tmp_path / "rat.py"
    path.write_text("MFL_API = 1\nimport whiskers\n")
    report = check_plugin(path)
    assert [one.rule for one in report.failed] == ["P01-import"]
    assert "No module named 'whiskers'" in report.failed[0].got
    assert {one.status for one in report.outcomes[1:]} == {"not checked"}


def test_an_outcome_is_worked_out_once():
    session = Session(LOSS)
    rule, component = next(one for one in session.pairs() if one[0].name == "L01-shape")
    assert session.outcome(rule, component) is session.outcome(rule, component)


def test_the_command_lists_what_fails_and_exits_with_1(broken_loss):
    done = run(broken_loss, "--only", "L")
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0].startswith("L01-shape[flat.masked_l1] flat.masked_l1, a mask")
    assert "[flat.masked_l1] not checked: needs L01-shape, which failed" in lines[1]
    assert lines[-1] == "flat: 0 passed, 1 failed, 7 not checked, 0 not applicable"


def test_the_command_takes_data_and_settings(tmp_path):
    done = run(SOUND / "sound_reader.py", "--data", write_aviary(tmp_path), "--only", "R01")
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        0,
        "sound_reader: 1 passed, 0 failed, 0 not checked, 0 not applicable",
    )
    done = run(SOUND / "sound_stage.py", "--set", "crop.margin=200", "--only", "S01")
    assert "not checked: refuses every probe of the kit: warp: height" in done.output


def test_the_command_prints_json(broken_loss):
    found = json.loads(run(broken_loss, "--only", "L01", "--json").output)
    assert found["passed"] is False
    assert found["outcomes"][0]["rule"] == "L01-shape"
    assert found["outcomes"][0]["got"] == "[2] torch.float32"


def pytest_run(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rfs", "-v", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def broken_policy(tmp_path_factory):
    """Its tests import no torch, so that a fresh pytest is quick."""
    path = tmp_path_factory.mktemp("policy") / "leak.py"
    text = (SOUND / "sound_policy.py").read_text().replace("sound_policy:", "leak:")
    path.write_text(text.replace("tuple(int(view) for view in inputs)", "(99,)"))
    return path


def test_one_pytest_test_per_rule(tmp_path, broken_policy):
    (tmp_path / "test_leak.py").write_text(
        "from mfl_adapt.plugin.testing import conformance_tests\n\n"
        f"test_conformance = conformance_tests({str(broken_policy)!r})\n"
    )
    code, text = pytest_run(tmp_path, "-k", "V01 or V02 or C0")
    assert code == 1
    assert "test_leak.py::test_conformance[C01-settings[leak.last]] PASSED" in text
    assert "test_leak.py::test_conformance[V01-indices[leak.last]] FAILED" in text
    assert "not checked: needs V01-indices, which failed" in text


def test_the_plugin_of_pytest_adds_the_rules(tmp_path, broken_policy):
    plugin = ("-p", "mfl_adapt.plugin.testing.pytest_plugin")
    code, text = pytest_run(tmp_path, *plugin, "--mfl-plugin", broken_policy, "-k", "V01 or C0")
    assert code == 1
    assert "V01-indices[leak.last] FAILED" in text
    assert "got ViewSplit(inputs=(99,)" in text
    assert "2 deselected" not in text
    assert "3 passed" in text


def test_the_plugin_of_pytest_reads_the_configuration(tmp_path):
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["mfl_adapt.plugin.testing.pytest_plugin"]\n'
    )
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmfl_plugin = {SOUND / 'sound_policy.py'}\n")
    code, text = pytest_run(tmp_path, "-k", "V01")
    assert code == 0
    assert "V01-indices[sound_policy.last] PASSED" in text


def test_the_helper_is_a_test_of_pytest():
    found = conformance_tests(LOSS)
    assert found.__name__ == "test_conformance"
    (mark,) = found.pytestmark
    assert mark.name == "parametrize"
