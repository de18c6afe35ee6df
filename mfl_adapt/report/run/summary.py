"""The head of a report: what was trained, what it is worth, and what is missing to know it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Literal, NamedTuple

from mfl_adapt.report.run.markup import Html, count, el, facts, interval, number, show, to_number
from mfl_adapt.report.run.record import RunRecord, items, section

Tone = Literal["good", "bad", "open"]
_SIGNS = {"good": "\N{CHECK MARK}", "bad": "\N{BALLOT X}", "open": "?"}
_MEASURE = "foreground_psnr_db"
FEW_SCENES = 6
"""Fewer decide nothing: five all go the same way by chance once in sixteen times. ``evaluate``
draws the same line."""


class Verdict(NamedTuple):
    """What a run is worth.

    Attributes:
        tone: Whether that is good, bad, or open.
        title: In a few words.
        lines: What that rests on, a sentence each.
    """

    tone: Tone
    title: str
    lines: tuple[str, ...]


def judge(record: RunRecord) -> Verdict:
    """Say what a run is worth, by the interval of its gain on held-out views."""
    found = record.evaluation
    stops = [one for one in record.guards if one.get("severity") == "law"]
    if found is None:
        lines = [f"{one.get('code')}: {one.get('summary')}" for one in stops[-1:]]
        title = "Stopped by a guard" if stops else "Not evaluated"
        return Verdict("bad" if stops else "open", title, (*lines, _how_to_go_on(record)))
    pair = section(found, "intervals", "gain").get(_MEASURE)
    gain = to_number(found.get("gain_over_base_foreground_db"))
    kind = "held-out" if found.get("scenes_held_out") else "training"
    if gain is None:
        return Verdict("open", "No gain was measured", ("evaluation.json holds no gain.",))
    lines = [
        f"{number(gain, '+.2f', 'dB')} {interval(pair, '+.2f')} foreground PSNR over the frozen "
        f"base, on {count(found.get('views'), 'held-out view')} of "
        f"{count(found.get('scenes'), f'{kind} scene')}. In brackets: 95\N{NO-BREAK SPACE}% of "
        "what other scenes would give."
    ]
    lines += [line for line in (_over_constant(found), _cost(found)) if line]
    if kind == "training":
        lines.append("Training saw these scenes from other sides; new scenes may score lower.")
    return Verdict(*_verdict(pair, is_few(found.get("scenes"))), tuple(lines))


def _verdict(pair: Any, few: bool) -> tuple[Tone, str]:
    low, high = map(to_number, pair) if isinstance(pair, list) and len(pair) == 2 else (None, None)
    if low is None or high is None or few:
        return "open", "Too few scenes to decide"
    if low > 0:
        return "good", "Better than the frozen base"
    if high < 0:
        return "bad", "Worse than the frozen base"
    return "open", "Within noise of the frozen base"


def _over_constant(found: Mapping[str, Any]) -> str:
    """Say so if a picture without a model scores higher."""
    over = to_number(found.get("gain_over_constant_db"))
    if over is None or over > 0:
        return ""
    return (
        f"The best picture without a model scores {number(-over, '.2f', 'dB')} higher over the "
        "full frame: the model may have collapsed."
    )


def _cost(found: Mapping[str, Any]) -> str:
    kept = section(found, "retention")
    change = to_number(kept.get("change_foreground_db"))
    if change is None:
        return ""
    scenes = kept.get("scenes")
    named = f"On the base's own domain ({show(kept.get('domain'))}, {count(scenes, 'scene')})"
    said = f"{named}: {number(change, '+.2f', 'dB')}"
    if is_few(scenes):
        return f"{said} with the adapter: too few scenes to decide."
    return f"{said} {interval(kept.get('change_interval_db'), '+.2f')} with the adapter."


def is_few(scenes: Any) -> bool:
    """Whether so many scenes decide nothing, so that their interval would be no 95 %."""
    return (to_number(scenes) or 0) < FEW_SCENES


def _how_to_go_on(record: RunRecord) -> str:
    folder = record.name
    if record.steps_done < (to_number(record.setting("train.steps")) or 0):
        return f"It can go on: mfl-adapt train ... --resume RUN, the folder of {folder}."
    if record.passport is not None:
        return "Its adapter can be measured: mfl-adapt evaluate RUN."
    return "It left no adapter to measure."


def summary(record: RunRecord, verdict: Verdict, missing: list[str]) -> Html:
    """Build the head of the page."""
    total, done = record.setting("train.steps"), record.steps_done
    stopped = done < (to_number(total) or 0)
    known = facts([
        ("Base", record.setting("base.id")),
        ("Adapter", _adapter(record)),
        ("Data", _data(record)),
        ("Losses", ", ".join(_losses(record))),
        ("Steps", f"{done:,} of {show(total)}{', stopped early' if stopped else ''}"),
        ("Pace", _pace(record)),
        ("Findings", _findings(record)),
    ])
    box = el(
        "div",
        el(
            "p",
            el("span", _SIGNS[verdict.tone], aria_hidden="true"),
            f" {verdict.title}",
            class_="title",
        ),
        [el("p", line) for line in verdict.lines],
        class_=f"verdict {verdict.tone}",
    )
    lacking = el(
        "div",
        el("p", "Missing from this report:"),
        el("ul", [el("li", one) for one in missing]),
        class_="missing",
    )
    return el("div", box, known, lacking if missing else None)


def _adapter(record: RunRecord) -> str:
    method = show(record.setting("adapter.use"))
    described = section(record.passport, "adapter")
    weights, layers = described.get("parameters"), described.get("layers")
    if isinstance(weights, int) and isinstance(layers, int):
        return f"{method}, {count(weights, 'weight')} in {count(layers, 'layer')}"
    return method


def _data(record: RunRecord) -> str:
    source = record.setting("data.path") or record.setting("data.reader.use")
    told = section(record.passport, "data")
    parts = [
        f"{told[key]} {word}"
        for key, word in (("train", "train"), ("validation", "validate"))
        if isinstance(told.get(key), int)
    ]
    return f"{show(source)}{': ' if parts else ''}{', '.join(parts)}"


def _losses(record: RunRecord) -> list[str]:
    start, end = "losses.", ".weight"
    return [
        f"{one.key.removeprefix(start).removesuffix(end)} \N{MULTIPLICATION SIGN} {one.value}"
        for one in record.settings
        if one.key.startswith(start) and one.key.endswith(end)
    ]


def _pace(record: RunRecord) -> str:
    seconds = [to_number(row.get("seconds")) for row in record.metrics]
    known = [one for one in seconds if one is not None]
    return f"{median(known):.2g} s per step (median)" if known else ""


def _findings(record: RunRecord) -> str:
    parts = []
    for name, rows in (("doctor", items(record.doctor, "summary")), ("guards", record.guards)):
        worst = [one.get("severity") for one in rows]
        words = [f"{worst.count(kind)} {kind}" for kind in ("law", "warning") if worst.count(kind)]
        parts.append(f"{name}: {', '.join(words) or 'none'}")
    return "; ".join(parts)
