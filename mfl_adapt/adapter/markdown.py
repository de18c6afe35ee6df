"""Words and tables of a model card, safe whatever the values hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def section(value: Any, name: str) -> Mapping[str, Any]:
    """A mapping inside a mapping; empty where there is none."""
    inner = value.get(name) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def number(value: Any, form: str) -> str:
    """A number in a format, or a dash for anything else."""
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return format(value, form) if usable else "-"


def count(how_many: Any, things: str) -> str:
    """A number of things; ``things`` is the plural."""
    return f"{plain(how_many)} {things[:-1] if how_many == 1 else things}"


def plain(value: Any) -> str:
    """A value as one line of text that Markdown shows as it is."""
    text = "" if value is None else " ".join(str(value).split())
    return re.sub(r"([\\`|<>*\[\]])", r"\\\1", text)


def code(value: Any) -> str:
    """A value as code; empty for nothing."""
    text = "" if value is None else " ".join(str(value).replace("`", "'").split())
    return "`" + text.replace("|", "\\|") + "`" if text else ""


def table(rows: Mapping[str, str]) -> str:
    """A table of names and values, without a head."""
    return "\n".join(["| | |", "|---|---|", *(row(pair) for pair in rows.items())])


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
