"""Line charts as inline SVG: no scripts, no fonts, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mfl_adapt.report.run.markup import Html, el, number

WIDTH, HEIGHT = 520, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 40
_POINTS_SHOWN = 40
"""Lines with more points than this have no dots."""
_MOST_POINTS = 600
"""Points of one line; of more, the lowest and highest of each stretch are kept."""
MOST_LINES = 6


class Point(NamedTuple):
    """One measured value.

    Attributes:
        x: Place on the horizontal axis.
        y: Value; None where there is none, which breaks the line.
        ends: Its interval, or None.
        label: Short text beside it, or none.
    """

    x: float
    y: float | None
    ends: tuple[float, float] | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Values that belong together.

    Attributes:
        name: For the legend.
        points: In the order in which they are joined.
    """

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: What is shown.
        x_title: Of the horizontal axis.
        y_title: Of the vertical axis.
        lines: At most six.
        marks: Horizontal lines to compare with, by name.
        log: Whether the vertical axis is logarithmic; only if all values are above 0.
        note: What else a reader should know.
    """

    title: str
    x_title: str
    y_title: str
    lines: Sequence[Line]
    marks: Sequence[tuple[str, float]] = field(default=())
    log: bool = False
    note: str = ""


class _Axis:
    """Maps values of one direction to pixels, with marks at round numbers."""

    def __init__(self, values: Sequence[float], low_px: float, high_px: float, log: bool) -> None:
        self.log = log
        low, high = min(values), max(values)
        if log:
            low, high = math.log10(low), math.log10(high)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            pad = 0.5 if log else abs(low) * 0.1 or 0.5
            low, high = low - pad, high + pad
        self.low, self.high, self._px = low, high, (low_px, high_px)

    def padded(self, share: float) -> _Axis:
        """Leave room at both ends."""
        room = (self.high - self.low) * share
        self.low, self.high = self.low - room, self.high + room
        return self

    def place(self, value: float) -> float:
        """Pixel of a value, with one digit after the point."""
        inner = math.log10(value) if self.log else value
        share = (inner - self.low) / (self.high - self.low)
        return round(self._px[0] + share * (self._px[1] - self._px[0]), 1)

    def ticks(self) -> list[float]:
        """Round numbers inside; powers of ten, with 2 and 5 between where these are few."""
        if not self.log:
            return _round_numbers(self.low, self.high)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        for steps in ((1,), (1, 2, 5)):
            found = [step * 10.0**one for one in decades for step in steps]
            found = [one for one in found if self.low <= math.log10(one) <= self.high]
            if len(found) > 2:
                break
        every = max(1, math.ceil(len(found) / 6))
        return found[::every] if len(found) > 1 else _round_numbers_of_log(self.low, self.high)


def draw(chart: Chart) -> Html:
    """Draw a chart; where nothing was measured, say so.

    Returns:
        A figure with its title, and a legend where there are several lines.
    """
    lines = [_thin(line) for line in chart.lines[:MOST_LINES]]
    shown = [point for line in lines for point in line.points if point.y is not None]
    if not shown:
        return el("figure", el("figcaption", chart.title), el("p", "No values.", class_="note"))
    heights = [y for point in shown for y in (point.y, *(point.ends or ())) if y is not None]
    heights += [value for _, value in chart.marks]
    log = chart.log and min(heights) > 0
    x_axis = _Axis([point.x for point in shown], _LEFT, WIDTH - _RIGHT, False)
    y_axis = _Axis(heights, HEIGHT - _BOTTOM, _TOP, log).padded(0.06)
    if any(point.label for point in shown):
        x_axis.padded(0.06)
    drawn = [
        *_grid(chart, x_axis, y_axis),
        *(
            part
            for place, line in enumerate(lines)
            for part in _draw_line(place, line, x_axis, y_axis)
        ),
        *(_mark(name, value, y_axis, lines) for name, value in chart.marks),
    ]
    spoken = f"{chart.title}. {'; '.join(_say(line) for line in lines)}."
    svg = el(
        "svg",
        *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=spoken,
        class_="chart",
    )
    scale = " (logarithmic)" if log else ""
    return el(
        "figure",
        el("figcaption", chart.title, el("span", f" {chart.y_title}{scale}", class_="note")),
        svg,
        _legend(lines, len(chart.lines) - len(lines)),
        el("p", chart.note, class_="note") if chart.note else None,
    )


def _draw_line(place: int, line: Line, x_axis: _Axis, y_axis: _Axis) -> list[Html]:
    """Ends of intervals, the line, its dots and their texts."""
    parts, spots = [], [point for point in line.points if point.y is not None]
    for point in spots:
        if point.ends is not None:
            x = x_axis.place(point.x)
            low, high = (y_axis.place(one) for one in point.ends)
            bars = f"M{x} {low}V{high}M{x - 4} {low}h8M{x - 4} {high}h8"
            parts.append(el("path", d=bars, class_="ends"))
    parts.append(el("path", d=_path(line.points, x_axis, y_axis)))
    for point in spots if len(spots) <= _POINTS_SHOWN else ():
        assert point.y is not None, "only such points are left"
        x, y = x_axis.place(point.x), y_axis.place(point.y)
        parts.append(el("circle", cx=x, cy=y, r=2.5))
        if point.label:
            parts.append(el("text", point.label, x=x + 6, y=y - 6))
    return [el("g", parts, class_=f"line s{place}")]


def _path(points: Sequence[Point], x_axis: _Axis, y_axis: _Axis) -> str:
    """Lines from point to point, broken where a value is missing."""
    words, pen = [], "M"
    for point in points:
        if point.y is None:
            pen = "M"
            continue
        words.append(f"{pen}{x_axis.place(point.x)} {y_axis.place(point.y)}")
        pen = "L"
    return "".join(words)


def _grid(chart: Chart, x_axis: _Axis, y_axis: _Axis) -> list[Html]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in y_axis.ticks():
        y = y_axis.place(value)
        parts.append(el("path", d=f"M{_LEFT} {y}H{right}", class_="grid"))
        parts.append(el("text", _short(value), x=_LEFT - 6, y=y + 4, text_anchor="end"))
    for value in x_axis.ticks():
        x = x_axis.place(value)
        parts.append(el("path", d=f"M{x} {bottom}v4", class_="axis"))
        parts.append(el("text", _short(value), x=x, y=bottom + 17, text_anchor="middle"))
    parts.append(el("path", d=f"M{_LEFT} {_TOP}V{bottom}H{right}", class_="axis"))
    middle = (_LEFT + right) / 2
    return [*parts, el("text", chart.x_title, x=middle, y=HEIGHT - 6, text_anchor="middle")]


def _mark(name: str, value: float, y_axis: _Axis, lines: Sequence[Line]) -> Html:
    """A dashed line, with its name at the end that the measured lines are further from."""
    y, right = y_axis.place(value), WIDTH - _RIGHT
    known = [[point.y for point in line.points if point.y is not None] for line in lines]
    gaps = [
        min((abs(y_axis.place(values[end]) - y) for values in known if values), default=0.0)
        for end in (0, -1)
    ]
    at, anchor = (_LEFT + 4, "start") if gaps[0] > gaps[1] else (right - 2, "end")
    line = el("path", d=f"M{_LEFT} {y}H{right}", class_="mark")
    return el("g", line, el("text", name, x=at, y=y - 4, text_anchor=anchor))


def _legend(lines: Sequence[Line], left_out: int) -> Html | None:
    if len(lines) < 2 and not left_out:
        return None
    entries = [
        el(
            "li",
            el(
                "svg",
                el("g", el("path", d="M1 6H23"), class_=f"line s{place}"),
                viewBox="0 0 24 12",
                class_="key",
                aria_hidden="true",
            ),
            line.name,
        )
        for place, line in enumerate(lines)
    ]
    more = el("li", f"and {left_out} more") if left_out > 0 else None
    return el("ul", entries, more, class_="legend")


def _say(line: Line) -> str:
    """First and last value of a line, for those who cannot see it."""
    values = [point.y for point in line.points if point.y is not None]
    if not values:
        return f"{line.name}: no values"
    first, last = (number(one, ".3g") for one in (values[0], values[-1]))
    least, most = (number(one, ".3g") for one in (min(values), max(values)))
    return f"{line.name}: from {first} to {last}, between {least} and {most}"


def _thin(line: Line) -> Line:
    """Leave points out of a long line without losing its spikes."""
    if len(line.points) <= _MOST_POINTS:
        return line
    size = math.ceil(len(line.points) / (_MOST_POINTS // 2))
    kept: list[Point] = []
    for start in range(0, len(line.points), size):
        stretch = line.points[start : start + size]
        values = [(point.y, place) for place, point in enumerate(stretch) if point.y is not None]
        chosen = sorted({min(values)[1], max(values)[1]}) if values else [0]
        kept += [stretch[place] for place in chosen]
    return Line(line.name, kept)


def _round_numbers(low: float, high: float, most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(one * step, 12) for one in range(first, last + 1)]


def _round_numbers_of_log(low: float, high: float) -> list[float]:
    return [one for one in _round_numbers(10**low, 10**high, 4) if one > 0]


def _short(value: float) -> str:
    """A number of a scale in few letters."""
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e5):
        return (
            f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("-", "\N{MINUS SIGN}")
        )
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
