"""Errors as findings: what a reader or loader refuses stands in one list with what checks find."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin import Finding

_FORM = re.compile(
    r"(?P<where>.+?): expected (?P<expected>.+?),? (?:got|found):? (?P<value>.+?)"
    r"(?:\. (?P<remedy>[A-Z].*))?"
)
_MEND = "Mend this before anything else."
UNREADABLE = "MFL051"
"""Code of an error that has none."""


def to_finding(error: MflAdaptError, *, code: str = "") -> Finding:
    """Turn an error into a broken law.

    Args:
        error: ``<where>: expected <rule>, got <value>. <what to do>``; one of another form is
            kept whole.
        code: Instead of the error's own.
    """
    text, code = str(error), code or error.code or UNREADABLE
    found = _FORM.fullmatch(text)
    if found is None:
        return _of_another_form(text, code)
    value, remedy = found["value"].rstrip("."), found["remedy"] or _MEND
    return Finding(code, "law", found["where"], value, found["expected"], remedy, 1.0)


def _of_another_form(text: str, code: str) -> Finding:
    """``configs/a.yaml:12: unknown key 'lora_alfa' in adapter. Did you mean 'lora_alpha'?``."""
    where, colon, rest = text.partition(": ")
    if not colon:
        where, rest = "here", text
    value, _, remedy = rest.partition(". ")
    rule = "a key that something reads" if value.startswith("unknown key") else "what can be used"
    return Finding(code, "law", where, value.rstrip("."), rule, remedy or _MEND, 1.0)


def without_repetitions(found: Sequence[Finding], refused: Sequence[Finding]) -> list[Finding]:
    """Add what was refused to what checks found, unless a check has said as much already."""
    said = {one.code for one in found if one.severity == "law"}
    return [*found, *(one for one in dict.fromkeys(refused) if one.code not in said)]
