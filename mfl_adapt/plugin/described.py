"""Describes values by type, shape and number format, as JSON values and as short text.

Nothing is copied, moved or computed: of an array only what it says of itself is read.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

Described = None | bool | int | float | str | list[Any] | dict[str, Any]

_LONGEST_TEXT = 80
_MOST_FIELDS = 12
_DEEPEST = 3


def describe_value(value: Any, depth: int = 0) -> Described:
    """Describe a value as JSON values.

    Numbers, words and paths stay what they are. An array becomes ``{"array": "float32",
    "shape": [6, 3], "device": "cpu"}``, a record ``{"type": name, "fields": {...}}``, a sequence
    ``{"type": "list", "length": 2, "first": ...}``, and anything else ``{"type": name}``.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str | PurePath):
        return _cut(str(value))
    if isinstance(value, type):
        return {"type": value.__name__}
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _describe_array(value)
    name = type(value).__name__
    parts = _parts_of(value)
    if parts is not None:
        if depth >= _DEEPEST:
            return {"type": name}
        shown = list(parts.items())[:_MOST_FIELDS]
        return {
            "type": name,
            "fields": {str(key): describe_value(each, depth + 1) for key, each in shown},
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        first = {"first": describe_value(value[0], depth + 1)} if len(value) else {}
        return {"type": name, "length": len(value), **first}
    return {"type": name}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def _describe_array(value: Any) -> Described:
    kind = str(value.dtype).removeprefix("torch.")
    described: dict[str, Any] = {"array": kind, "shape": [int(size) for size in value.shape]}
    device = getattr(value, "device", None)
    # A numpy array says that it is on the cpu too, and only in newer releases.
    if device is not None and not isinstance(device, str):
        described["device"] = str(device)
    return described


def _parts_of(value: Any) -> dict[Any, Any] | None:
    """Fields of a record, or entries of a mapping; None of anything else."""
    if is_dataclass(value):
        assert not isinstance(value, type), "types were described before"
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, BaseModel):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    return dict(value) if isinstance(value, Mapping) else None


def to_text(described: Described, depth: int = 0) -> str:
    """Write a description in a few words, such as ``float32[6, 3]``."""
    if isinstance(described, str):
        return repr(described)
    if not isinstance(described, dict):
        return str(described)
    if "array" in described:
        place = described.get("device", "cpu")
        where = "" if place == "cpu" else f" on {place}"
        return f"{described['array']}{described['shape']}{where}"
    if "length" in described:
        if "first" not in described:
            return f"empty {described['type']}"
        return f"{described['length']} x {to_text(described['first'], depth + 1)}"
    name = str(described["type"])
    if "fields" not in described or depth > 1:
        return name
    said = {key: value for key, value in described["fields"].items() if value is not None}
    parts = [f"{key}={to_text(value, depth + 2)}" for key, value in said.items()]
    return f"{name}({', '.join(parts)})"
