"""Scores of a run as tables and as charts over training and over the adapter's strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfl_adapt.report.run.charts import Chart, Line, Point, draw
from mfl_adapt.report.run.markup import (
    Html,
    count,
    el,
    interval,
    join,
    number,
    show,
    table,
    to_number,
)
from mfl_adapt.report.run.record import RunRecord, items, section
from mfl_adapt.report.run.summary import FEW_SCENES, is_few

_COLUMNS = (
    ("foreground_psnr_db", "foreground PSNR, dB", ".2f"),
    ("psnr_db", "PSNR, dB", ".2f"),
    ("masked_ssim", "masked SSIM", ".3f"),
    ("iou", "mask IoU", ".3f"),
)
_LARGEST = 1e100
"""What is beyond cannot be drawn."""


def scores(record: RunRecord) -> Html:
    """Show the scores of every predictor, held-out views and input views apart."""
    found = record.evaluation
    if found is None:
        return el("p", "This run has no evaluation.json.", class_="note")
    scenes, inputs = found.get("scenes"), found.get("input_views")
    kind = (
        count(scenes, "held-out scene")
        if found.get("scenes_held_out")
        else f"{count(scenes, 'scene')} that training saw"
    )
    held = f"{count(found.get('views'), 'held-out view')} of {kind}"
    shown = f"{count(inputs, 'input view')}, which the model was shown: no evidence"
    kept = section(found, "retention")
    parts: list[Html | None] = [
        _table(section(found, "scores"), section(found, "intervals"), held, gain=True)
    ]
    if section(found, "input_view_scores"):
        parts.append(_table(section(found, "input_view_scores"), {}, shown))
    if section(kept, "adapted"):
        rows = {name: kept[name] for name in ("frozen base", "adapted") if section(kept, name)}
        few = is_few(kept.get("scenes"))
        pair = {} if few else {"gain": {"foreground_psnr_db": kept.get("change_interval_db")}}
        domain = f"{show(kept.get('domain'))}, {count(kept.get('scenes'), 'scene')}"
        domain = f"The base's own domain: {domain}{', too few to decide' if few else ''}"
        parts.append(_table(rows, pair, domain, gain=True))
    elif kept.get("not_measured"):
        parts.append(el("p", f"The base's own domain: {show(kept['not_measured'])}", class_="note"))
    parts += [_leave_one_out(section(found, "leave_one_out")), _per_scene(found)]
    return join(parts)


def _table(
    rows: Mapping[str, Any], intervals: Mapping[str, Any], caption: str, *, gain: bool = False
) -> Html:
    """Build a table of scores, each with its interval where there is one."""
    body: list[list[Any]] = []
    for name in rows:
        known = section(intervals, name)
        cells = [
            _with_interval(number(section(rows, name).get(key), form), known.get(key), form)
            for key, _, form in _COLUMNS
        ]
        body.append([name, *cells])
    if gain and {"adapted", "frozen base"} <= rows.keys():
        pairs = [section(rows, name) for name in ("adapted", "frozen base")]
        known = section(intervals, "gain")
        cells = []
        for key, _, form in _COLUMNS:
            after, before = (to_number(one.get(key)) for one in pairs)
            change = None if after is None or before is None else after - before
            cells.append(_with_interval(number(change, "+" + form), known.get(key), "+" + form))
        body.append(["adapted \N{MINUS SIGN} frozen base", *cells])
    head = ["", *(title for _, title, _ in _COLUMNS)]
    note = (
        f"{caption}; in brackets 95\N{NO-BREAK SPACE}% intervals over scenes"
        if intervals
        else caption
    )
    marked = [len(body) - 1] if gain else []
    return table(head, body, caption=note, numbers=range(1, 5), marked=marked)


def _with_interval(text: str, pair: Any, form: str) -> Any:
    between = interval(pair, form)
    return join([text, " ", el("span", between, class_="between")]) if between else text


def _per_scene(found: Mapping[str, Any]) -> Html | None:
    adapted, frozen = (section(found, "per_scene", name) for name in ("adapted", "frozen base"))
    if not adapted:
        return None
    body = []
    for scene in adapted:
        before, after = (
            to_number(section(one, scene).get("foreground_psnr_db")) for one in (frozen, adapted)
        )
        change = None if before is None or after is None else after - before
        body.append([scene, number(before), number(after), number(change, "+.2f")])
    head = ["scene", "frozen base, dB", "adapted, dB", "gain, dB"]
    grid = table(head, body, caption="Foreground PSNR scene by scene", numbers=range(1, 4))
    return el("details", el("summary", f"Scene by scene ({len(adapted)})"), grid)


def _leave_one_out(apart: Mapping[str, Any]) -> Html | None:
    groups = items(apart, "groups")
    if not groups:
        return None
    body = [
        [
            show(one.get("name")),
            show(one.get("scenes")),
            number(one.get("gain_over_base_foreground_db"), "+.2f"),
            "" if is_few(one.get("scenes")) else interval(one.get("gain_interval_db"), "+.2f"),
            "yes" if one.get("seen_in_training") else "no",
        ]
        for one in groups
    ]
    head = [show(apart.get("by")), "scenes", "gain, dB", "95 %", "seen in training"]
    return table(
        head,
        body,
        caption=f"One {show(apart.get('by'))} at a time, of one training",
        numbers=range(1, 4),
    )


def curves(record: RunRecord) -> Html:
    """Draw what the log of a run holds."""
    rows = [row for row in record.metrics if to_number(row.get("number")) is not None]
    if not rows:
        return el("p", "The log metrics.jsonl holds no steps.", class_="note")
    names = list(dict.fromkeys(name for row in rows for name in section(row, "parts")))
    parts = [{**section(row, "parts"), "number": row["number"]} for row in rows]
    charts = [
        _chart("Loss", "weighted sum", [_line("loss", rows, "loss")], log=True),
        _chart("Loss terms", "before weights", [_line(n, parts, n) for n in names], log=True),
        _quality(record, rows),
        _chart(
            "Gradient norm", "before clipping", [_line("norm", rows, "gradient_norm")], log=True
        ),
        _chart("Learning rate", "", [_line("rate", rows, "lr")]),
    ]
    return el("div", [draw(one) for one in charts if one is not None], class_="charts")


def _quality(record: RunRecord, rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    lines = [_line("of each batch", rows, "foreground_psnr_db")]
    # Measured now and then: the steps between are no gaps.
    measured = [row for row in rows if to_number(row.get("held_out_psnr_db")) is not None]
    lines.append(_line("held-out views", measured, "held_out_psnr_db"))
    lines = [one for one in lines if any(point.y is not None for point in one.points)]
    if not lines:
        return None  # a model of views makes no pictures in its steps
    known = section(record.evaluation, "scores")
    marks = []
    for name in ("white", "frozen base"):
        value = to_number(section(known, name).get("foreground_psnr_db"))
        if value is not None and abs(value) < _LARGEST:
            marks.append((f"{name}, held-out", value))
    note = "A curve that stays near the white picture has learned nothing." if marks else ""
    return Chart("Foreground PSNR", "step", "dB", lines, marks, note=note)


def _chart(title: str, y_title: str, lines: Sequence[Line], *, log: bool = False) -> Chart:
    return Chart(title, "step", y_title, lines, log=log)


def _line(name: str, rows: Sequence[Mapping[str, Any]], key: str) -> Line:
    return Line(
        show(name), [Point(_bounded(row["number"]) or 0.0, _bounded(row.get(key))) for row in rows]
    )


def _bounded(value: Any) -> float | None:
    found = to_number(value)
    return found if found is not None and abs(found) < _LARGEST else None


def strengths(curve: Mapping[str, Any] | None, reason: str) -> Html:
    """Draw gain against cost over the strength of the adapter.

    Args:
        curve: What was measured; None if nothing was.
        reason: Why not.
    """
    if curve is None:
        return el("p", reason, class_="note")
    held, home = section(curve, "held_out"), section(curve, "home")
    domain = show(home.get("domain")) if home.get("domain") else ""
    lines = [Line("held-out views", _points(held))]
    if items(home, "points"):
        lines.append(Line(f"base's own domain: {domain}", _points(home)))
    first = Chart("Change by strength", "strength of the adapter", "dB against strength 0", lines)
    charts = [first]
    trade = _trade(items(held, "points"), items(home, "points"))
    if trade:
        title, x_title = "Gain against cost", "change on the base's own domain, dB"
        charts.append(
            Chart(
                title,
                x_title,
                "gain on held-out views, dB",
                [Line("gain", trade)],
                note="Numbers beside the dots: strength.",
            )
        )
    scenes = count(held.get("scenes"), "scene")
    note = (
        f"Foreground PSNR of {scenes} of the run and {show(home.get('scenes'))} of the base's own "
        "domain."
        if trade
        else f"Foreground PSNR of {scenes}. {show(home.get('not_measured') or '')}"
    )
    if is_few(held.get("scenes")) or (trade and is_few(home.get("scenes"))):
        note += f" Fewer than {FEW_SCENES} decide nothing and have no intervals."
    said = [el("p", text, class_="note") for text in (curve.get("note"), note) if text]
    body = el("div", [draw(one) for one in charts], class_="charts")
    return join([body, _strength_table(held, home), *said])


def _strength_table(held: Mapping[str, Any], home: Mapping[str, Any]) -> Html:
    costs = {to_number(one.get("strength")): one for one in items(home, "points")}
    few = [is_few(side.get("scenes")) for side in (held, home)]
    body = []
    for one in items(held, "points"):
        other = costs.get(to_number(one.get("strength")), {})
        row: list[Any] = [number(one.get("strength"), "g")]
        for point, hidden in zip((one, other), few, strict=True):
            change = number(point.get("change_db"), "+.2f")
            pair = None if hidden else point.get("change_interval_db")
            row.append(number(point.get("foreground_psnr_db")))
            row.append(_with_interval(change, pair, "+.2f"))
        body.append(row)
    head = ["strength", "held-out, dB", "change", "own domain, dB", "change"]
    return table(head, body, caption="Foreground PSNR by strength", numbers=range(1, 5))


def _points(side: Mapping[str, Any]) -> list[Point]:
    points, few = [], is_few(side.get("scenes"))
    for one in items(side, "points"):
        x, pair = _bounded(one.get("strength")), one.get("change_interval_db")
        pair = None if few else pair
        ends = [_bounded(end) for end in pair] if isinstance(pair, list) else []
        known = [end for end in ends if end is not None]
        both = (known[0], known[1]) if len(known) == len(ends) == 2 else None
        if x is not None:
            points.append(Point(x, _bounded(one.get("change_db")), both))
    return points


def _trade(held: Sequence[Mapping[str, Any]], home: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Gain over cost, one point per strength."""
    points = []
    for one, other in zip(held, home, strict=False):
        cost = _bounded(other.get("change_db"))
        if cost is not None:
            label = number(one.get("strength"), "g")
            points.append(Point(cost, _bounded(one.get("change_db")), label=label))
    return points
