"""Certificates of one sample or many as a table and as a summary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from mfl_adapt.cameras.table import CONVENTION
from mfl_adapt.data.certificate_records import Certificate, ViewCertificate

Worst = Literal["high", "low", "far", "none"]


class Column(NamedTuple):
    """One measure of a view, as a column.

    Attributes:
        name: Field of ``ViewCertificate``, or what is derived from it.
        title: Heading, with the unit.
        form: How a value is written.
        worst: Which value is the worst: the highest, the lowest, the one furthest from the median
            (a habit, where neither end is wrong), or none, so that there is nothing to sum up.
        get: Takes the value from a view.
    """

    name: str
    title: str
    form: str
    worst: Worst
    get: Callable[[ViewCertificate], float | None]


COLUMNS = (
    Column("rotation_error", "rotation", ".0e", "high", lambda v: v.rotation_error),
    Column("look_at", "look-at", ".4f", "low", lambda v: v.look_at),
    Column("distance", "distance", ".4f", "far", lambda v: v.distance),
    Column("elevation_deg", "elev deg", ".2f", "far", lambda v: v.elevation_deg),
    Column("azimuth_deg", "azim deg", ".2f", "none", lambda v: v.azimuth_deg),
    Column("fx", "fx px", ".3f", "far", lambda v: v.fx),
    Column("aspect", "fx/fy", ".4f", "far", lambda v: v.aspect),
    Column("principal_point_px", "c off px", ".2f", "high", lambda v: v.principal_point_px),
    Column("residual_px", "resid px", ".2f", "high", lambda v: v.residual_px),
    Column("subject_offset_px", "subj px", ".2f", "high", lambda v: v.subject_offset_px),
    Column("hull_iou", "hull IoU", ".4f", "low", lambda v: v.hull_iou),
    Column("hull_coverage", "covered", ".4f", "low", lambda v: v.hull_coverage),
    Column("foreground", "foregr", ".3f", "far", lambda v: v.foreground),
    Column("border_px", "border px", ".0f", "high", lambda v: sum(v.border_px.values())),
    Column("mask_agreement", "agree", ".4f", "low", lambda v: v.mask_agreement),
    Column("mask_soft", "soft", ".4f", "high", lambda v: v.mask_soft),
    Column("round_trip_px", "trip px", ".0e", "high", lambda v: v.round_trip_px),
)


class ColumnSummary(NamedTuple):
    """One measure over many views.

    Attributes:
        name: Of the column.
        median: Over all views of all samples that have it.
        worst: The worst value.
        where: ``sample/view`` of the worst.
        views: How many views have it.
    """

    name: str
    median: float
    worst: float
    where: str
    views: int


class CertificateSummary(NamedTuple):
    """A dataset's certificates in a few numbers.

    Attributes:
        samples: How many there are.
        verdicts: How many are ``clean``, ``warning`` and ``law``.
        failures: How many samples fail by each name, most first.
        inexact: How many have an inexact step in their history.
        columns: Each measure that some view has.
    """

    samples: int
    verdicts: dict[str, int]
    failures: dict[str, int]
    inexact: int
    columns: tuple[ColumnSummary, ...]


def summarize(certificates: Iterable[Certificate]) -> CertificateSummary:
    """Sum up the certificates of a dataset.

    Args:
        certificates: One per sample.

    Returns:
        Counts, and worst and median of every measure.
    """
    everything = list(certificates)
    verdicts = Counter(one.verdict for one in everything)
    names = Counter(name for one in everything for name in {each.name for each in one.failures})
    columns = (_sum_up(column, everything) for column in COLUMNS if column.worst != "none")
    return CertificateSummary(
        samples=len(everything),
        verdicts={name: verdicts[name] for name in ("clean", "warning", "law")},
        failures=dict(names.most_common()),
        inexact=sum(not one.exact for one in everything),
        columns=tuple(column for column in columns if column is not None),
    )


def certificate_lines(certificate: Certificate) -> list[str]:
    """Lay one certificate out as plain text: a line per view, then the sample and its failures."""
    rows = [["view", *(column.title for column in COLUMNS)]]
    for view in certificate.views:
        rows.append([view.name, *(_write(column, column.get(view)) for column in COLUMNS)])
    return [
        f"{certificate.sample}: {certificate.verdict}",
        CONVENTION,
        *_table(rows),
        *_sample_lines(certificate),
        *_failure_lines(certificate),
    ]


def summary_lines(summary: CertificateSummary) -> list[str]:
    """Lay a summary out as plain text: a line per measure, then the verdicts."""
    titles = {column.name: column for column in COLUMNS}
    rows = [["measure", "median", "worst", "where"]]
    for one in summary.columns:
        column = titles[one.name]
        rows.append([
            column.title,
            _write(column, one.median),
            _write(column, one.worst),
            one.where,
        ])
    verdicts = ", ".join(f"{count} {name}" for name, count in summary.verdicts.items())
    lines = [*_table(rows, left=3), f"{summary.samples} samples: {verdicts}."]
    if summary.inexact:
        lines.append(f"{summary.inexact} samples have an inexact step in their history.")
    if summary.failures:
        failures = ", ".join(f"{name} ({count})" for name, count in summary.failures.items())
        lines.append(f"Failures by samples: {failures}.")
    return lines


def _sum_up(column: Column, certificates: Sequence[Certificate]) -> ColumnSummary | None:
    found = [
        (value, f"{one.sample}/{view.name}")
        for one in certificates
        for view in one.views
        if (value := column.get(view)) is not None and not math.isnan(value)
    ]
    if not found:
        return None
    values = np.array([value for value, _ in found])
    median = float(np.median(values))
    if column.worst == "far":
        badness = np.abs(values - median)
    else:
        badness = values if column.worst == "high" else -values
    worst, where = found[int(np.argmax(badness))]
    return ColumnSummary(column.name, median, worst, where, len(found))


def _sample_lines(found: Certificate) -> list[str]:
    lines = []
    if found.subject is None:
        lines.append("subject: not located; the masks of three views or more are needed")
    else:
        x, y, z = found.subject
        rough = ", rough because the frame cuts the masks" if found.subject_cut else ""
        lines.append(
            f"subject: ({x:.4g}, {y:.4g}, {z:.4g}), {found.subject_distance:.4g} from the origin, "
            f"radius {found.subject_radius:.3g}, median residual {found.residual_px:.2f} px{rough}"
        )
        lines.append(f"depth: {100 * (found.reach or 0):.0f} % of the model's reach is used")
    slots = ", ".join(f"{s.azimuth_deg:g} = {s.view} ({s.angle_deg:.1f} off)" for s in found.slots)
    if slots:
        lines.append(f"view slots, deg: {slots}")
    kind = "exact" if found.exact else "inexact"
    lines.append(f"history, {kind}: {' > '.join(found.steps) or 'none'}")
    return lines


def _failure_lines(found: Certificate) -> list[str]:
    return [
        f"{one.severity:<8}{one.name} of {one.where or 'the sample'}: {one.value:.5g}, limit "
        f"{one.limit:.5g}"
        for one in found.failures
    ]


def _write(column: Column, value: float | None) -> str:
    return "-" if value is None else format(value, column.form)


def _table(rows: list[list[str]], *, left: int = 0) -> list[str]:
    """Align columns: the first, and the one at ``left``, to the left, all others to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]

    def align(index: int, text: str) -> str:
        return text.ljust(widths[index]) if index in (0, left) else text.rjust(widths[index])

    return [
        "  ".join(align(index, text) for index, text in enumerate(row)).rstrip() for row in rows
    ]


def summary_to_json(summary: CertificateSummary) -> dict[str, Any]:
    """Turn a summary into plain JSON values; what is not a finite number becomes null."""
    columns = {
        column.name: {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in column._asdict().items()
        }
        for column in summary.columns
    }
    return {"schema": 1, "convention": CONVENTION, **summary._asdict(), "columns": columns}
