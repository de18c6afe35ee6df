"""Shape, range and settings checks that say what was expected, what came and what to do.

The numeric ones work on anything with ``shape`` and the usual comparison operators: numpy arrays
and torch tensors alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from mfl_adapt.errors import ConfigError, RangeError, ShapeError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mfl_adapt.types import Float

ModelT = TypeVar("ModelT", bound="BaseModel")


def check_shape(where: str, value: Any, expected: Sequence[int | None], *, hint: str = "") -> None:
    """Raise unless ``value`` has the expected shape.

    Args:
        where: Function and argument, as the caller knows them (``masked_l2: mask``).
        value: Array or tensor.
        expected: One size per axis; None admits any size.
        hint: A sentence that says what to do.

    Raises:
        ShapeError: If the number of axes or one of the sizes differs.
    """
    shape = list(value.shape)
    fits = len(shape) == len(expected) and all(
        want is None or got == want for got, want in zip(shape, expected, strict=True)
    )
    if not fits:
        rule = "[" + ", ".join("*" if size is None else str(size) for size in expected) + "]"
        raise ShapeError(f"{where}: expected {rule}, got {shape}. {hint}".rstrip())


def check_same_shape(where: str, reference: Any, value: Any, *, hint: str = "") -> None:
    """Raise unless two arrays have the same shape, so that nothing broadcasts by luck.

    Raises:
        ShapeError: If the shapes differ.
    """
    if tuple(reference.shape) != tuple(value.shape):
        raise ShapeError(
            f"{where}: expected {list(reference.shape)}, got {list(value.shape)}. {hint}".rstrip()
        )


def check_range(where: str, value: float, low: float, high: float, *, hint: str = "") -> None:
    """Raise unless ``low <= value <= high``; NaN is outside every range.

    Raises:
        RangeError: If the value is outside.
    """
    if not low <= value <= high:
        raise RangeError(
            f"{where}: expected a value from {low:g} to {high:g}, got {value:g}. {hint}".rstrip()
        )


def check_finite(where: str, value: Any, *, hint: str = "") -> None:
    """Raise if an array holds NaN or an infinity, and say how many.

    Raises:
        RangeError: If any entry is not finite.
    """
    # No number is below NaN; unlike arithmetic on infinities, a comparison never warns.
    broken = int((~(abs(value) < float("inf"))).sum())
    if broken:
        size = 1
        for length in value.shape:
            size *= int(length)
        raise RangeError(
            f"{where}: expected finite numbers, got {broken} of {size} not finite. {hint}".rstrip()
        )


def to_numbers(value: Any, shape: Sequence[int | None]) -> Float:
    """Turn nested lists of plain numbers, as JSON and TOML hold them, into an array.

    numpy would take texts, truth values and missing numbers for numbers as well.

    Args:
        value: What the file holds, or an array of numbers.
        shape: One size per axis; None admits any size.

    Returns:
        A new float64 array; NaN and infinities pass, for the caller to name.

    Raises:
        ValueError: If it is anything else, or a number is too large for a float.
    """
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iuf":
            raise ValueError(f"an array of {value.dtype}")
    elif not _is_nested(value, len(shape)):
        raise ValueError("something else than lists of numbers")
    try:
        numbers = np.array(value, dtype=np.float64)
    except (OverflowError, TypeError) as error:
        raise ValueError(str(error)) from error
    fits = numbers.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, numbers.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"shape {list(numbers.shape)}")
    return numbers


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value from a file is a finite number; true and false are none."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    # An infinity or NaN, and a whole number that no float could hold, are none either.
    return plain and abs(value) <= sys.float_info.max


def _is_nested(value: Any, depth: int) -> bool:
    """Whether a value is lists within lists, this deep, of plain numbers."""
    if depth == 0:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, list | tuple) and all(_is_nested(one, depth - 1) for one in value)


def check_settings(
    model: type[ModelT],
    settings: Mapping[str, Any],
    section: str = "",
    locate: Callable[[tuple[str | int, ...]], str] = lambda keys: "",
) -> ModelT:
    """Validate a section of a configuration and report its first problem in one line.

    Args:
        model: Pydantic model of the section.
        settings: What the user wrote.
        section: Name of the section for messages; empty for the whole configuration.
        locate: Gives file and line of a key path within the section, or an empty string.

    Returns:
        The validated model.

    Raises:
        ConfigError: If a key is unknown or missing, or a value breaks its rule.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(settings)
    except ValidationError as error:
        # A misspelt key also leaves a gap: name the key that was typed before the one that lacks.
        problems = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        keys = _user_keys(problems[0]["loc"])
        same = [one for one in problems if _user_keys(one["loc"]) == keys]
        place = ": ".join(part for part in (locate(keys), _describe(model, section, same)) if part)
        more = len({_user_keys(one["loc"]) for one in problems}) - 1
        rest = f" ({more} more to mend after that.)" if more else ""
        raise ConfigError(place + rest) from error


_RULES = {
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "keys and values",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
"""Our words for what pydantic says in terms of Python."""


def _user_keys(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Drop what pydantic adds for unions (``list[str]``, ``function-before[...]``)."""
    return tuple(key for key in location if isinstance(key, int) or "[" not in key)


def _describe(model: type[BaseModel], section: str, problems: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with one key; several problems are the branches of a union."""
    first = problems[0]
    keys = [str(key) for key in _user_keys(first["loc"])]
    if first["type"] == "extra_forbidden":  # the last one is the user's, whatever it looks like
        keys = [str(key) for key in (*_user_keys(first["loc"][:-1]), first["loc"][-1])]
    inside = " of ".join(part for part in (".".join(keys[:-1]), section) if part)
    within = f" in {inside}" if inside else ""
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(keys[-1], _known_keys(model, keys[:-1]))
        return f"unknown key {keys[-1]!r}{within}. {hint}"
    if first["type"] == "missing":
        return f"expected key {keys[-1]!r}{within}, got none. Add it."
    if first["type"] == "value_error":
        what = f"{'.'.join(keys)}: " if keys else ""
        return f"{what}{first['ctx']['error']}"
    rules = " or ".join(dict.fromkeys(_rule(one["type"], one["msg"]) for one in problems))
    where = ".".join(keys) + (f" of {section}" if section else "")
    hint = ""
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        close = did_you_mean(first["input"], first["ctx"]["expected"].split("'")[1::2])
        hint = f" {close}" if close.startswith("Did") else ""
    return f"{where}: expected {rules}, got {first['input']!r}.{hint}"


def _rule(kind: str, message: str) -> str:
    """Turn pydantic's ``Input should be greater than 0`` into a rule of our form."""
    if kind in _RULES:
        return _RULES[kind]
    rule = message.removeprefix("Input should be ").replace("String should ", "text to ")
    return f"a value {rule}" if rule.startswith(("greater", "less")) else rule


def _known_keys(model: type[BaseModel], keys: Sequence[str]) -> list[str]:
    """Field names of the model that sits at a key path below another."""
    current: Any = model
    for key in keys:
        field = current.model_fields.get(key)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        nested = [one for one in candidates if hasattr(one, "model_fields")]
        if not nested:
            return []
        current = nested[0]
    return list(current.model_fields)
