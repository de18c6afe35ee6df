"""What the files of a run have to hold, so that a damaged one is refused and not shown as empty."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mfl_adapt.errors import DataError


class Rule(NamedTuple):
    """What a value has to be.

    Attributes:
        text: In words, after ``expected ... to be``.
        holds: Whether a value is that.
        needed: Whether it has to be there.
        inside: What each value of a mapping, or each entry of a list, has to be; rules by dotted
            key if these are mappings in turn.
    """

    text: str
    holds: Callable[[Any], bool]
    needed: bool = True
    inside: Rule | Mapping[str, Rule] | None = None


Form = Mapping[str, Rule]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and abs(value) <= 1e300 and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_finite, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _optional(rule: Rule) -> Rule:
    """The same, where it is there at all and not null."""
    return rule._replace(needed=False, holds=lambda value: value is None or rule.holds(value))


_TEXT = Rule("a text", lambda value: isinstance(value, str))
_COUNT = Rule("a whole number of at least 0", _is_count)
_WHETHER = Rule("true or false", lambda value: isinstance(value, bool))
# A log may hold the infinity that stopped a run.
_LOGGED = Rule("a number", _is_number)
_VALUE = Rule(
    "a finite number or null", lambda value: value is None or _is_finite(value), needed=False
)
_PAIR = Rule("two finite numbers", _is_pair)


def _mapping(inside: Rule | Form | None = None) -> Rule:
    return Rule("a mapping", _is_mapping, inside=inside)


def _list(inside: Rule | Form) -> Rule:
    return Rule("a list", _is_list, inside=inside)


_SCORES: Form = {
    "psnr_db": _VALUE._replace(needed=True),
    "foreground_psnr_db": _VALUE._replace(needed=True),
    "masked_ssim": _VALUE,
    "iou": _VALUE,
}
_TABLE = _mapping(_SCORES)
_FINDING: Form = {
    "code": _TEXT,
    "severity": _TEXT,
    **dict.fromkeys(("where", "value", "expected", "remedy"), _optional(_TEXT)),
}

EVALUATION: Form = {
    "scenes": _COUNT,
    "views": _COUNT,
    "scenes_held_out": _WHETHER,
    "scores": _TABLE,
    "scores.frozen base": _mapping(),
    "scores.adapted": _mapping(),
    "intervals": _optional(_mapping(_mapping(_PAIR))),
    "gain_over_base_foreground_db": _VALUE._replace(needed=True),
    "gain_over_constant_db": _VALUE,
    "input_views": _optional(_COUNT),
    "input_view_scores": _optional(_TABLE),
    "retention": _optional(_mapping()),
    **{f"retention.{row}": _optional(_mapping()) for row in ("frozen base", "adapted")},
    "retention.scenes": _optional(_COUNT),
    **{f"retention.{row}.{key}": _VALUE for row in ("frozen base", "adapted") for key in _SCORES},
    "retention.change_foreground_db": _VALUE,
    "retention.change_interval_db": _optional(_PAIR),
    "leave_one_out": _optional(_mapping()),
    "leave_one_out.groups": _optional(_list({"name": _TEXT})),
    "per_scene": _optional(_mapping(_TABLE)),
}
DOCTOR: Form = {
    "looked_at": _mapping(_COUNT),
    "summary": _list(_FINDING),
    "findings": _optional(_list(_FINDING)),
}
ENVIRONMENT: Form = {"python": _TEXT, "packages": _mapping(_TEXT)}
ORIGIN: Form = {"origin": _mapping(), "origin.kind": _TEXT, "origin.place": _TEXT}
CERTIFICATE: Form = {
    "samples": _COUNT,
    "verdicts": _mapping(_COUNT),
    "failures": _optional(_mapping(_COUNT)),
    "columns": _optional(_mapping(_mapping())),
}
STEP: Form = {
    "number": _COUNT,
    "loss": _LOGGED,
    "parts": _optional(_mapping(_LOGGED)),
    **dict.fromkeys(("foreground_psnr_db", "held_out_psnr_db"), _optional(_LOGGED)),
    **dict.fromkeys(("gradient_norm", "lr", "seconds"), _optional(_LOGGED)),
}
GUARD: Form = {
    **_FINDING,
    "step": _COUNT,
    **dict.fromkeys(("name", "summary", "picture"), _optional(_TEXT)),
}
SETTINGS: Form = {"base": _mapping(), "train": _mapping()}


def check_form(value: Mapping[str, Any], form: Form, where: str | Path) -> None:
    """Raise unless a mapping has the form of what a run writes.

    Args:
        value: What the file, or a line of it, holds.
        form: Rules by dotted key.
        where: The file, with its line where there are many.

    Raises:
        DataError: Naming the first key that is missing or holds something else.
    """
    _check_keys(value, form, "", where)


def _check(value: Any, rule: Rule, key: str, where: str | Path) -> None:
    """Hold a value, and what is in it, against a rule.

    Raises:
        DataError: If it is something else.
    """
    if not rule.holds(value):
        _refuse(where, key, rule, f"{value!r:.60}")
    if rule.inside is None or value is None:
        return
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, one in pairs:
        if isinstance(rule.inside, Rule):
            _check(one, rule.inside, f"{key}.{name}", where)
        else:
            _check(one, _mapping(), f"{key}.{name}", where)
            _check_keys(one, rule.inside, f"{key}.{name}.", where)


def _check_keys(value: Mapping[str, Any], form: Form, prefix: str, where: str | Path) -> None:
    """Hold a mapping against rules by dotted key.

    Raises:
        DataError: If a key is missing or holds something else.
    """
    for key, rule in form.items():
        *outer, last = key.split(".")
        holder: Any = value
        for name in outer:
            holder = holder.get(name) if isinstance(holder, Mapping) else None
        if isinstance(holder, Mapping) and last in holder:
            _check(holder[last], rule, prefix + key, where)
        elif rule.needed:
            _refuse(where, prefix + key, rule, "nothing")


def _refuse(where: str | Path, key: str, rule: Rule, got: str) -> NoReturn:
    """Say what is broken.

    Raises:
        DataError: Always.
    """
    is_needed = Path(where).name == "config.yaml"
    raise DataError(
        f"{where}: expected {key} to be {rule.text}, got {got}. The file is damaged: mend it"
        f"{'' if is_needed else ', or remove it to have a report without it'}."
    )
