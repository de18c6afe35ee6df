"""Charts: values land where they belong, gaps stay gaps, spikes stay spikes."""

import math
import re

import pytest

from mfl_adapt.report.run.charts import (
    HEIGHT,
    MOST_LINES,
    WIDTH,
    Chart,
    Line,
    Point,
    draw,
)

SPOT = re.compile(r'<circle cx="([\d.]+)" cy="([\d.]+)"')


def chart(*values, **settings):
    line = Line("loss", [Point(float(x), y) for x, y in enumerate(values)])
    return draw(Chart("Loss", "step", "sum", [line], **settings))


def spots(text):
    return [(float(x), float(y)) for x, y in SPOT.findall(text)]


def test_values_are_placed_in_proportion():
    (x0, y0), (x1, y1), (x2, y2) = spots(chart(0.0, 1.0, 4.0))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    # Up is less in SVG; 4 is four times as far above 0 as 1 is.
    assert y0 - y2 == pytest.approx(4 * (y0 - y1), abs=0.5)
    assert 0 < y2 < y0 < HEIGHT
    assert 0 < x0 < x2 < WIDTH


def test_a_logarithmic_axis_gives_equal_steps_to_equal_factors():
    (_, y0), (_, y1), (_, y2) = spots(chart(0.01, 0.1, 1.0, log=True))
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert "(logarithmic)" in chart(0.01, 1.0, log=True)
    assert "(logarithmic)" not in chart(0.0, 1.0, log=True)


def test_a_missing_value_breaks_the_line():
    path = re.search(r'<path d="(M[^"]*)"></path><circle', chart(1.0, 2.0, None, 3.0, 4.0))[1]
    assert (path.count("M"), path.count("L")) == (2, 2)


@pytest.mark.parametrize("values", [[], [None, None]])
def test_nothing_to_draw_is_said(values):
    assert "No values." in chart(*values)


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-300, 1e99])
def test_one_value_or_a_flat_line(value):
    for found in (chart(value), chart(value, value)):
        assert all(math.isfinite(y) and 0 < y < HEIGHT for _, y in spots(found))


def test_a_spike_survives_in_a_long_run():
    values = [1.0] * 50_000
    values[31_234] = 900.0
    text = chart(*values)
    assert len(text) < 30_000
    assert "between 1 and 900" in text
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", text)]
    assert min(heights) < HEIGHT / 4 < 3 * HEIGHT / 4 < max(heights)


def test_intervals_and_texts_beside_points():
    ends = Line("gain", [Point(0.0, 0.0), Point(1.0, 2.0, (1.0, 3.0), "whole")])
    text = draw(Chart("Gain", "strength", "dB", [ends], marks=[("white", 0.5)]))
    assert ">whole</text>" in text
    assert ">white</text>" in text
    low, high = map(float, re.search(r'd="M[\d.]+ ([\d.]+)V([\d.]+)M', text).groups())
    assert high < spots(text)[1][1] < low


def test_more_lines_than_colours_are_counted():
    lines = [Line(f"term {k}", [Point(0.0, 1.0 + k)]) for k in range(MOST_LINES + 2)]
    text = draw(Chart("Terms", "step", "", lines))
    assert f"term {MOST_LINES - 1}" in text
    assert f"term {MOST_LINES}<" not in text
    assert "and 2 more" in text


def test_names_are_escaped():
    line = Line("<b>", [Point(0.0, 1.0, None, "<i>"), Point(1.0, 2.0)])
    text = draw(Chart("<u>", "<s>", "<p>", [line, line], marks=[("<q>", 1.0)], note="<tt>"))
    assert not re.search(r"<(b|i|u|s|p|q|tt)>", text)
    assert "&lt;b&gt;" in text
