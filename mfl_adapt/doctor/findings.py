"""Findings of many checks, summed up for a reader."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mfl_adapt.errors import CheckError
from mfl_adapt.plugin import Finding

_RANK = {"law": 0, "warning": 1, "info": 2}


class Summary(NamedTuple):
    """Findings of one code and severity.

    Attributes:
        worst: The one furthest beyond its rule; the first of equals.
        places: How many there are.
    """

    worst: Finding
    places: int


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


def to_lines(report: Report) -> list[str]:
    """Lay a report out as plain text.

    Returns:
        A line per code and severity with count, place, value and rule, its remedy below it, and
        a closing line with the totals.
    """
    lines = []
    for worst, places in report.summaries():
        where = worst.where if places == 1 else f"{places} places, worst {worst.where}"
        lines.append(f"{worst.severity:<8}{worst.code:<8}{where}: {worst.value}")
        lines.append(f"{'':16}expected {worst.expected}")
        lines.append(f"{'':16}{worst.remedy}")
    counts = Counter(finding.severity for finding in report.findings)
    ran = sum(1 for count in report.looked_at.values() if count)
    lines.append(
        f"{ran} of {len(report.looked_at)} checks ran. Findings: law {counts['law']}, warning "
        f"{counts['warning']}, info {counts['info']}."
    )
    return lines


def to_json(report: Report) -> dict[str, Any]:
    """Turn a report into plain JSON values, as kept in ``doctor.json``."""
    return {
        "schema": 1,
        "passed": not report.laws,
        "looked_at": dict(report.looked_at),
        "summary": [{"places": places, **_plain(worst)} for worst, places in report.summaries()],
        "findings": [_plain(finding) for finding in report.findings],
    }


def _plain(finding: Finding) -> dict[str, str]:
    # The rank is left out: it may be infinite, which JSON cannot say, and the value says more.
    return {
        field.name: getattr(finding, field.name)
        for field in dataclasses.fields(finding)
        if field.name != "excess"
    }
