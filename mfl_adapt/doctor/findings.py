"""Findings of many checks, summed up for a reader."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mfl_adapt.doctor.codes import BRINGS, CODES
from mfl_adapt.errors import CheckError
from mfl_adapt.plugin import Finding

_SEVERITIES = ("law", "warning", "info")
_RANK = {severity: rank for rank, severity in enumerate(_SEVERITIES)}


class Summary(NamedTuple):
    """Findings of one code and severity.

    Attributes:
        worst: The one furthest beyond its rule; the first of equals.
        places: How many there are.
    """

    worst: Finding
    places: int


class Group(NamedTuple):
    """Findings of one code, with those of codes that may come from it.

    Attributes:
        severity: The worst among all of them.
        worst: The worst of the code itself.
        places: How many of the code itself there are.
        brings: Codes that may come from it, with how many there are.
    """

    severity: str
    worst: Finding
    places: int
    brings: dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found.

    Attributes:
        findings: In the order found, each once.
        looked_at: Per check, how many facts it looked at; 0 means that it never ran.
    """

    findings: tuple[Finding, ...]
    looked_at: Mapping[str, int]

    @property
    def laws(self) -> tuple[Finding, ...]:
        """Findings that stop a run."""
        return tuple(finding for finding in self.findings if finding.severity == "law")

    def summaries(self) -> list[Summary]:
        """Sum findings up by code and severity: laws first, then by code."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault((finding.severity, finding.code), []).append(finding)
        ordered = sorted(groups.items(), key=lambda item: (_RANK[item[0][0]], item[0][1]))
        return [Summary(max(group, key=lambda one: one.excess), len(group)) for _, group in ordered]

    def groups(self) -> list[Group]:
        """Gather findings under what may be their cause: the worst first, then by code."""
        by_code: dict[str, list[Finding]] = {}
        for finding in self.findings:
            by_code.setdefault(finding.code, []).append(finding)
        ranks = {code: (_rank(found), code) for code, found in by_code.items()}
        causes = [code for code, (rank, _) in ranks.items() if rank < _RANK["info"]]
        brought = {code: list(_brought(code, ranks)) for code in causes}
        roots = by_code.keys() - {one for found in brought.values() for one in found}
        groups = []
        for code in roots:
            found, below = by_code[code], _all_below(code, brought)
            rank = min(_rank(by_code[one]) for one in (code, *below))
            worst = min(found, key=lambda one: (_RANK[one.severity], -one.excess))
            counts = {one: len(by_code[one]) for one in below}
            groups.append(Group(_SEVERITIES[rank], worst, len(found), counts))
        return sorted(groups, key=lambda one: (_RANK[one.severity], one.worst.code))

    def raise_for_laws(self, *, force: bool = False) -> None:
        """Stop where a law is broken.

        Args:
            force: Go on all the same.

        Raises:
            CheckError: If a law is broken, with the worst of its findings.
        """
        if force or not self.laws:
            return
        broken = [one for one in self.summaries() if one.worst.severity == "law"]
        first = broken[0].worst
        codes = ", ".join(f"{one.worst.code} ({one.places})" for one in broken)
        raise CheckError(
            f"doctor: expected no broken law, got {codes}. {first.code} in {first.where}: "
            f"expected {first.expected}, got {first.value}. {first.remedy}"
        )


def join(reports: Iterable[Report]) -> Report:
    """Put reports of different checks or facts together; equal findings count once."""
    findings: list[Finding] = []
    looked_at: dict[str, int] = {}
    for report in reports:
        findings += report.findings
        for name, count in report.looked_at.items():
            looked_at[name] = looked_at.get(name, 0) + count
    return Report(tuple(dict.fromkeys(findings)), looked_at)


def to_lines(report: Report, titles: Mapping[str, str] | None = None) -> list[str]:
    """Lay a report out as plain text, the worst first.

    Args:
        report: What was found.
        titles: What is wrong where a code of another room is reported, in a few words.

    Returns:
        For every code what is wrong, where, what was found against which rule, what to do, and
        what may come from it; information takes one line. The last line has the totals.
    """
    lines: list[str] = []
    named = {code: words.title for code, words in CODES.items()} | dict(titles or {})
    for severity, worst, places, brings in report.groups():
        where = f"{worst.where} and {places - 1} more" if places > 1 else worst.where
        if severity == "info":
            lines.append(f"{'info':<8}{worst.code:<8}{where}: {worst.value}")
            continue
        title = f"{severity:<8}{worst.code:<8}{named.get(worst.code, '')}".rstrip()
        lines += [title, f"  at      {where}"]
        lines += [f"  found   {worst.value}", f"  rule    {worst.expected}"]
        lines += [f"  do      {worst.remedy}"]
        if brings:
            codes = ", ".join(f"{code} ({count})" for code, count in brings.items())
            lines.append(f"  also    {codes}: may come from this")
    counts = Counter(finding.severity for finding in report.findings)
    ran = sum(1 for count in report.looked_at.values() if count)
    lines.append(
        f"{ran} of {len(report.looked_at)} checks ran. Findings: law {counts['law']}, warning "
        f"{counts['warning']}, info {counts['info']}."
    )
    return lines


def page_of(code: str) -> str:
    """Where a code is explained, relative to the project."""
    return f"docs/checks.md#{code.lower()}"


def to_json(report: Report) -> dict[str, Any]:
    """Turn a report into plain JSON values, as kept in ``doctor.json``."""
    return {
        "schema": 1,
        "passed": not report.laws,
        "looked_at": dict(report.looked_at),
        "begin_with": [one.worst.code for one in report.groups() if one.severity != "info"],
        "summary": [
            {"places": places, **_plain(worst), "page": page_of(worst.code)}
            for worst, places in report.summaries()
        ],
        "findings": [_plain(finding) for finding in report.findings],
    }


def _rank(findings: Iterable[Finding]) -> int:
    return min(_RANK[one.severity] for one in findings)


def _brought(code: str, ranks: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """Codes among those found that may come from one, and not the other way round."""
    for one in BRINGS.get(code, ()):
        mutual = code in BRINGS.get(one, ())
        if one in ranks and not (mutual and ranks[one] < ranks[code]):
            yield one


def _all_below(code: str, brought: Mapping[str, list[str]]) -> list[str]:
    """Codes that come from one, and from those in turn; each once, sorted."""
    below: set[str] = set()
    waiting = [code]
    while waiting:
        for one in brought.get(waiting.pop(), []):
            if one not in below and one != code:
                below.add(one)
                waiting.append(one)
    return sorted(below)


def _plain(finding: Finding) -> dict[str, str]:
    # The rank is left out: it may be infinite, which JSON cannot say, and the value says more.
    return {
        field.name: getattr(finding, field.name)
        for field in dataclasses.fields(finding)
        if field.name != "excess"
    }
