"""Writes the calls of a trace for people and for scripts, and adds them up by supplier."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mfl_adapt.plugin.described import to_text
from mfl_adapt.plugin.tracing import Call

_LONGEST_VALUE = 120
_NOBODY = "(nobody)"


@dataclass(frozen=True, slots=True)
class Total:
    """What all calls of one plugin come to.

    Attributes:
        plugin: Its name; ``(nobody)`` for hooks that no active plugin implements.
        distribution: Distribution or file that supplies it, with its version.
        calls: How many calls there were.
        seconds: How long they took, without calls of others from within.
        errors: How many ended in an error.
    """

    plugin: str
    distribution: str
    calls: int
    seconds: float
    errors: int


def to_json(call: Call) -> dict[str, Any]:
    """Return a call as JSON values."""
    rest = asdict(call)
    source = rest.pop("source")
    number = rest.pop("number")
    kind = "component" if call.source.component else "hook"
    return {"number": number, "kind": kind, **source, **rest}


def to_line(call: Call) -> str:
    """Return a call as one line: when, how long, whose, what with, what came of it."""
    arguments = ", ".join(f"{key}={_value(value)}" for key, value in call.arguments.items())
    came = f"raised {call.error}" if call.error else f"-> {_value(call.result)}"
    who = call.source.component or f"hook of {call.source.plugin or _NOBODY}"
    indent = "  " * call.depth
    return (
        f"{call.number:>5}  {call.at_s:8.3f} s  {1000 * call.seconds:9.2f} ms  {indent}{who}  "
        f"{call.method}({arguments}) {came}"
    )


def _value(described: Any) -> str:
    text = to_text(described)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def add_up(calls: Iterable[Call]) -> list[Total]:
    """Return one total per plugin, the one that took longest first."""
    totals: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        supplier = f"{call.source.distribution} {call.source.version}".strip()
        totals.setdefault((call.source.plugin or _NOBODY, supplier), []).append(call)
    summed = [
        Total(
            plugin=plugin,
            distribution=supplier,
            calls=len(made),
            seconds=sum(one.own_seconds for one in made),
            errors=sum(bool(one.error) for one in made),
        )
        for (plugin, supplier), made in totals.items()
    ]
    return sorted(summed, key=lambda one: (-one.seconds, one.plugin))


def to_table(totals: Iterable[Total]) -> list[str]:
    """Return the totals as lines below a heading."""
    rows = [("plugin", "distribution", "calls", "seconds", "errors")]
    rows += [
        (one.plugin, one.distribution, str(one.calls), f"{one.seconds:.3f}", str(one.errors or ""))
        for one in totals
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        f"{name:<{widths[0]}}  {supplier:<{widths[1]}}  {calls:>{widths[2]}}  "
        f"{seconds:>{widths[3]}}  {errors:>{widths[4]}}".rstrip()
        for name, supplier, calls, seconds, errors in rows
    ]
