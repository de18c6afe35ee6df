"""What checks found in the data, and what guards found in the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfl_adapt.files import find_inside
from mfl_adapt.report.run.markup import Html, count, el, facts, join, show, table
from mfl_adapt.report.run.pictures import picture_of
from mfl_adapt.report.run.record import RunRecord, items, section

_RANK = {"law": 0, "warning": 1, "info": 2}
MOST_GUARDS, MOST_PICTURES = 50, 4


def findings(record: RunRecord) -> Html:
    """Show findings of the doctor, summed up by code, and then those of guards."""
    return join([
        el("h3", "Data, before the run (doctor)"),
        _doctor(record.doctor),
        el("h3", "Training (guards)"),
        _guards(record),
    ])


def _doctor(found: Mapping[str, Any] | None) -> Html:
    if found is None:
        return el("p", "The run folder holds no doctor.json.", class_="note")
    looked_at = section(found, "looked_at")
    ran = sum(1 for times in looked_at.values() if isinstance(times, int) and times)
    total = f"{ran} of {len(looked_at)} checks ran, the others had nothing to look at."
    total = f"All {ran} checks ran." if ran == len(looked_at) else total
    said = items(found, "summary") or items(found, "findings")
    ordered = sorted(said, key=lambda one: _RANK.get(str(one.get("severity")), 3))
    forced = "Broken laws were ignored: train.force was set." if found.get("forced") else None
    cards = [_card(one, _places(one)) for one in ordered]
    return join([
        el("p", f"{total} {_worded(cards)}"),
        el("p", forced, class_="warning") if forced else None,
        cards,
    ])


def _worded(cards: Sequence[Html]) -> str:
    return f"{count(len(cards), 'finding')}:" if cards else "They found nothing wrong."


def _places(one: Mapping[str, Any]) -> str:
    places = one.get("places")
    return f" and {places - 1} more" if isinstance(places, int) and places > 1 else ""


def _guards(record: RunRecord) -> Html:
    if not record.guards:
        return el("p", "Guards found nothing.")
    cards, pictures = [], 0
    for row in record.guards[:MOST_GUARDS]:
        evidence = _evidence(record.path, row) if pictures < MOST_PICTURES else None
        pictures += evidence is not None
        title = f"{show(row.get('name'))} at step {show(row.get('step'))}"
        cards.append(_card(row, "", title=title, summary=row.get("summary"), evidence=evidence))
    left = len(record.guards) - len(cards)
    more = el("p", f"and {count(left, 'more finding')} in guards.jsonl", class_="note")
    return join([cards, more if left > 0 else None])


def _evidence(run: Path, row: Mapping[str, Any]) -> Html | None:
    """The picture that a guard drew."""
    name = row.get("picture")
    if not isinstance(name, str):
        return None
    try:
        path = find_inside(run, name)
    except ValueError:
        return None
    return el("figure", picture_of(path, f"Held-out samples at step {show(row.get('step'))}"))


def _card(
    one: Mapping[str, Any],
    more: str,
    *,
    title: str = "",
    summary: Any = None,
    evidence: Html | None = None,
) -> Html:
    """Build one finding: how bad, where, what against which rule, and what to do."""
    severity = show(one.get("severity"))
    known = severity if severity in _RANK else "info"
    head = el("h4", el("span", severity, class_="tag"), f" {show(one.get('code'))} {title}")
    body = facts([
        ("What it means", summary),
        ("Where", f"{show(one.get('where'))}{more}"),
        ("Found", one.get("value")),
        ("Rule", one.get("expected")),
        ("What to do", one.get("remedy")),
    ])
    return el("article", head, body, evidence, class_=f"finding {known}")


def certificate(record: RunRecord, drawn: Html | None) -> Html:
    """Show what is known of how exactly cameras and pictures agree.

    Args:
        record: The run; its dataset may bring a certificate along.
        drawn: Picture of the certificate of one scene, or None.
    """
    found = record.certificate
    parts: list[Any] = []
    if found is None:
        text = (
            "The dataset brings no certificate.json along, as those of mfl-adapt data prepare do; "
            "mfl-adapt data certify measures it."
        )
        parts.append(el("p", text, class_="note"))
    else:
        verdicts = section(found, "verdicts")
        words = ", ".join(f"{show(number)} {name}" for name, number in verdicts.items())
        parts.append(el("p", f"{show(found.get('samples'))} samples certified: {words}."))
        failing = ", ".join(
            f"{name} ({show(number)})" for name, number in section(found, "failures").items()
        )
        parts.append(el("p", f"Failures: {failing}.") if failing else None)
        parts.append(_measures(section(found, "columns")))
    return join([*parts, drawn])


def _measures(columns: Mapping[str, Any]) -> Html | None:
    rows = [
        [
            name,
            _figure(section(columns, name).get("median")),
            _figure(section(columns, name).get("worst")),
            show(section(columns, name).get("where")),
        ]
        for name in columns
    ]
    head = ["measure", "median", "worst", "where"]
    return table(head, rows, caption="Geometry of the views", numbers=(1, 2)) if rows else None


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else show(value)
