"""HTML that cannot be broken out of: every text is escaped unless it was built here.

What a run folder holds may come from anybody. Texts become elements only through ``el``, which
escapes whatever is no ``Html``.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST_TEXT = 2000
"""Letters of a single text that a page shows."""
MOST_ROWS = 300
"""Rows of one table."""
_VOID = {"br", "img", "meta"}
# Control characters, halves of surrogate pairs, and those that turn the direction of text.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
DASH = "\N{EN DASH}"


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def el(name: str, *children: Any, **attributes: Any) -> Html:
    """Build an element.

    Args:
        name: Of the element; never from a file.
        *children: Markup, texts, numbers, or lists of these; None is left out.
        **attributes: By name, with ``_`` for ``-`` and one at the end where Python knows the word
            (``class_``); None and False are left out, True stands alone.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{html.escape(show(value))}"')
    head = f"<{' '.join(words)}>"
    return Html(head if name in _VOID else f"{head}{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Html:
    """Put parts behind one another, escaping whatever is no markup."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(str(child))
        elif isinstance(child, (list, tuple)):
            parts.append(join(child))
        else:
            parts.append(html.escape(show(child), quote=False))
    return Html("".join(parts))


def show(value: Any) -> str:
    """Return a value as visible text of bounded length."""
    if value is None:
        return DASH
    text = value if isinstance(value, str) else str(value)
    if isinstance(text, Html):
        return str(text)
    cut = text[:LONGEST_TEXT]
    if not cut.isprintable():
        cut = "".join("\N{REPLACEMENT CHARACTER}" if _is_odd(one) else one for one in cut)
    return f"{cut} [...]" if len(text) > LONGEST_TEXT else cut


def number(value: Any, form: str = ".2f", unit: str = "") -> str:
    """Return a finite number in a format with its unit, or a dash for anything else."""
    found = to_number(value)
    if found is None:
        return DASH
    text = format(found, form)
    # A minus is as wide as a plus, so that signs align.
    return text.replace("-", "\N{MINUS SIGN}") + (f"\N{NO-BREAK SPACE}{unit}" if unit else "")


def interval(limits: Any, form: str = ".2f") -> str:
    """Return the two ends of an interval in brackets; empty for anything else."""
    if not isinstance(limits, list) or len(limits) != 2:
        return ""
    ends = [to_number(one) for one in limits]
    if None in ends:
        return ""
    return f"[{number(ends[0], form)}, {number(ends[1], form)}]"


def to_number(value: Any) -> float | None:
    """Return a finite number as such, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def count(how_many: Any, thing: str) -> str:
    """Word a number of things; what is no number is shown as it is."""
    known = to_number(how_many)
    amount = show(how_many) if known is None else f"{known:,.0f}"
    return f"{amount} {thing}{'' if known == 1 else 's'}"


def table(
    head: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    caption: str,
    numbers: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> Html:
    """Build a table whose first column names the rows.

    Args:
        head: One cell per column.
        rows: Cells; those after the 300th row are counted, not shown.
        caption: What the table is, for everybody.
        numbers: Columns that align to the right.
        marked: Rows that stand out.
    """
    every = list(rows)
    body = [
        el(
            "tr",
            [
                el(
                    "td" if column else "th",
                    cell,
                    scope=None if column else "row",
                    class_="number" if column in numbers else None,
                )
                for column, cell in enumerate(row)
            ],
            class_="marked" if place in marked else None,
        )
        for place, row in enumerate(every[:MOST_ROWS])
    ]
    titles = [
        el("th", cell, scope="col", class_="number" if column in numbers else None)
        for column, cell in enumerate(head)
    ]
    left = len(every) - len(body)
    grid = el(
        "table",
        el("caption", caption),
        el("thead", el("tr", titles)),
        el("tbody", body),
    )
    more = el("p", f"and {count(left, 'more row')}", class_="note") if left > 0 else None
    # What is too wide for a phone scrolls by itself, also by keyboard.
    return join([
        el("div", grid, class_="wide", tabindex=0, role="region", aria_label=caption),
        more,
    ])


def facts(pairs: Iterable[tuple[str, Any]]) -> Html:
    """Build a list of names and values; pairs without a value are left out."""
    rows = [
        el("div", el("dt", name), el("dd", value))
        for name, value in pairs
        if value not in (None, "", [])
    ]
    return el("dl", rows)


def _is_odd(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE and letter not in "\n\t"
