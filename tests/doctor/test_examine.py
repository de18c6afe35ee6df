"""The engine: which checks run on what, how findings are summed up, when a run stops."""

import json
from pathlib import Path

import pytest

from mfl_adapt.doctor import (
    ActiveCheck,
    Report,
    build_checks,
    examine,
    examine_samples,
    to_json,
    to_lines,
)
from mfl_adapt.doctor.codes import BRINGS
from mfl_adapt.errors import CheckError, ConfigError, PluginError
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.types import RigContract, Sample

CONTRACT = RigContract(size=64, patch=8, depth_reach=1.8)


def finding(severity="law", code="T001", where="a", excess=0.0):
    return Finding(code, severity, where, f"value {excess:g}", "less", "Mend it.", excess)


def check(*findings, code="T001", subject="sample"):
    return ActiveCheck("test.check", code, subject, lambda facts: list(findings))


SAMPLES = [Sample("a", ()), Sample("b", ())]


def test_checks_run_where_their_subject_is():
    seen = []

    def run(facts):
        seen.append(facts.sample.id)
        return []

    checks = [ActiveCheck("t.one", "T001", "sample", run), check(finding(), subject="adapter")]
    report = examine_samples(checks, SAMPLES, CONTRACT)
    assert seen == ["a", "b"]
    assert report.findings == ()
    assert report.looked_at == {"t.one": 2}
    found = examine([check(finding(), subject="adapter")], [Facts(adapter=Path("x"))])
    assert len(found.laws) == 1


def test_equal_findings_count_once():
    report = examine_samples([check(finding())], SAMPLES, CONTRACT)
    assert len(report.findings) == 1


def test_summaries_put_laws_first_and_name_the_worst():
    found = [
        finding("info", "T002", "i"),
        finding("warning", "T001", "w", 1.0),
        finding("law", "T003", "b", 2.0),
        finding("law", "T001", "l1", 2.0),
        finding("law", "T001", "l2", 7.0),
        finding("warning", "T001", "w2", 0.5),
    ]
    rows = [
        (one.worst.severity, one.worst.code, one.worst.where, one.places)
        for one in Report(tuple(found), {}).summaries()
    ]
    assert rows == [
        ("law", "T001", "l2", 2),
        ("law", "T003", "b", 1),
        ("warning", "T001", "w", 2),
        ("info", "T002", "i", 1),
    ]


def test_text():
    report = Report((finding(where="x", excess=1.0), finding(where="y", excess=3.0)), {"c": 2})
    assert to_lines(report) == [
        "law     T001",
        "  at      y and 1 more",
        "  found   value 3",
        "  rule    less",
        "  do      Mend it.",
        "1 of 1 checks ran. Findings: law 2, warning 0, info 0.",
    ]
    known = Report((finding("info", "MFL018", "z"), finding("warning", "MFL005", "z")), {})
    assert to_lines(known)[0] == "warning MFL005  subject beside the origin"
    assert to_lines(known)[-2] == "info    MFL018  z: value 0"
    assert to_lines(Report((), {"c": 0})) == [
        "0 of 1 checks ran. Findings: law 0, warning 0, info 0."
    ]


def test_findings_are_gathered_under_what_may_be_their_cause():
    found = [
        finding("law", "MFL002", "a"),
        finding("law", "MFL002", "b"),
        finding("warning", "MFL006", "s"),
        finding("warning", "MFL032", "a"),
        finding("info", "MFL018", "s"),
    ]
    groups = Report(tuple(found), {}).groups()
    rows = [(one.severity, one.worst.code, one.places, one.brings) for one in groups]
    # A zoom per view brings masks that contradict one another, and weighs as much as they do.
    assert rows == [
        ("law", "MFL006", 1, {"MFL002": 2}),
        ("warning", "MFL032", 1, {}),
        ("info", "MFL018", 1, {}),
    ]
    assert "  also    MFL002 (2): may come from this" in to_lines(Report(tuple(found), {}))


def test_causes_are_followed_to_their_end_and_information_is_none():
    chain = [finding("law", "MFL013"), finding("law", "MFL004"), finding("law", "MFL002")]
    (only,) = Report(tuple(chain), {}).groups()
    assert (only.worst.code, only.brings) == ("MFL013", {"MFL002": 1, "MFL004": 1})
    informed = [finding("info", "MFL004"), finding("law", "MFL002")]
    assert [one.worst.code for one in Report(tuple(informed), {}).groups()] == ["MFL002", "MFL004"]


def test_no_code_brings_itself():
    """However far one follows, else a circle of codes would be shown nowhere."""
    for code in BRINGS:
        found = [finding("law", one) for one in {code, *(c for v in BRINGS.values() for c in v)}]
        shown = Report(tuple(found), {}).groups()
        everything = {one.worst.code for one in shown} | {c for one in shown for c in one.brings}
        assert everything == {one.code for one in found}


def test_json_is_plain_even_for_infinite_values():
    report = Report((finding(excess=float("inf")),), {"c": 1})
    content = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert content["passed"] is False
    assert content["summary"][0]["places"] == 1
    assert content["summary"][0]["page"] == "docs/checks.md#t001"
    assert content["begin_with"] == ["T001"]
    assert content["findings"][0] == {
        "code": "T001",
        "severity": "law",
        "where": "a",
        "value": "value inf",
        "expected": "less",
        "remedy": "Mend it.",
    }


def test_only_laws_stop_a_run():
    Report((finding("warning"), finding("info")), {}).raise_for_laws()
    broken = Report((finding(where="x"), finding(where="y", excess=4.0)), {})
    broken.raise_for_laws(force=True)
    with pytest.raises(CheckError, match=r"got T001 \(2\)\. T001 in y: .*value 4\. Mend") as caught:
        broken.raise_for_laws()
    assert "\n" not in str(caught.value)


def test_a_check_may_not_report_under_another_code():
    with pytest.raises(PluginError, match=r"test\.check: expected findings with code T002, got T0"):
        examine_samples([check(finding(), code="T002")], SAMPLES, CONTRACT)


def test_checks_of_a_plugin_are_built_with_settings():
    host = load_plugins(["facelift_checks"])
    checks = build_checks(host, {"facelift_checks.origin": {"warn_above": 0.5}})
    assert len({one.code for one in checks}) == len(checks) == 52
    with pytest.raises(ConfigError, match="warn_abov"):
        build_checks(host, {"facelift_checks.origin": {"warn_abov": 0.5}})
    with pytest.raises(PluginError, match="orign"):
        build_checks(host, {"facelift_checks.orign": {}})
