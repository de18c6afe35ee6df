"""The form of a passport and the names in an adapter folder; free of torch.

Who reads a passport later on may rely on every field that is checked here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mfl_adapt.errors import AdapterError

SCHEMA = "mfl_adapt.adapter/1"
SECTIONS = ("plugins", "config", "seeds", "metrics")
"""Always there and always a mapping; empty means that nobody said anything."""

WEIGHTS, CONFIG, PASSPORT, CARD = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "passport.json",
    "README.md",
)
EXTRA = "extra_model.safetensors"
"""Tensors of an adapter's own network; there only if it has one."""
EXTRA_PREFIX = "extra."
"""What its tensors' names begin with where they stand beside peft's, as in the adapter hash."""
HEADER_KEY = "mfl_adapt"
"""Key of the passport in the header of the weights."""
MAX_JSON = 16 * 2**20
"""No passport, settings or header is larger, in bytes."""


def check_schema(passport: Any, where: str) -> None:
    """Raise unless the passport is one that this version can read.

    Args:
        passport: What the file holds.
        where: The file, for the message.

    Raises:
        AdapterError: If it is no mapping, of another schema, or a field is missing or of another
            kind.
    """
    schema = passport.get("schema") if isinstance(passport, dict) else None
    if schema != SCHEMA:
        raise AdapterError(
            f"{where}: expected a passport of schema {SCHEMA!r}, got {_shorten(schema)}. "
            "Load it with the version of mfl_adapt that wrote it."
        )
    for path, (kinds, wanted) in _FIELDS.items():
        value = _find(passport, path, where)
        if not isinstance(value, kinds) or isinstance(value, bool):
            _refuse(where, path, wanted, value)
    for name in SECTIONS:
        if not isinstance(passport.get(name, {}), dict):
            _refuse(where, name, "a mapping", passport[name])
    _check_values(passport, where)


def read_json(path: Path) -> Any:
    """Read a JSON file of an adapter folder.

    Raises:
        AdapterError: If it is missing, no regular file, too large, or no JSON.
    """
    return parse_json(read_bytes(path), path)


def read_bytes(path: Path, limit: int = MAX_JSON) -> bytes:
    """Read a small file whole.

    Args:
        path: The file; a pipe or a device is refused, as reading it might never end.
        limit: Greatest size in bytes.

    Raises:
        AdapterError: If it cannot be read, or is larger.
    """
    try:
        if path.exists() and not path.is_file():
            raise AdapterError(f"{path}: expected a file, got something else. Check the path.")
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise AdapterError(
            f"{path}: expected a file of an adapter folder, got: {error.strerror}. "
            "Check the path; mfl_adapt writes this file beside the weights."
        ) from error
    if len(content) > limit:
        raise AdapterError(
            f"{path}: expected at most {limit} bytes, got more. It is no file of an adapter."
        )
    return content


def parse_json(content: bytes, where: Path | str) -> Any:
    """Return what JSON in UTF-8 says.

    Stricter than Python: no NaN, nothing twice, and nothing that could not be written again.

    Raises:
        AdapterError: If it is none.
    """
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique)
        dump_json(value).encode()
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise AdapterError(
            f"{where}: expected JSON, got: {reason}. Fetch the adapter again."
        ) from error
    return value


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that is always the same for the same value."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)


_TEXT, _COUNT, _MAPPING = (str, "a text"), (int, "a whole number"), (dict, "a mapping")
_NUMBER = ((int, float, type(None)), "a number or null")
_TEXT_OR_NULL = ((str, type(None)), "a text or null")
_FIELDS: Mapping[str, tuple[Any, str]] = {
    "plugin_api": _COUNT,
    "base": _MAPPING,
    "base.id": _TEXT,
    "base.sha256": _TEXT,
    "base.fingerprint": _TEXT,
    "contract": _MAPPING,
    "adapter": _MAPPING,
    "adapter.method": _TEXT_OR_NULL,
    "adapter.parameters": _COUNT,
    "adapter.layers": _COUNT,
    "adapter.seed": _COUNT,
    "adapter_hash": _TEXT,
    "effect": _MAPPING,
    "effect.probe": _TEXT_OR_NULL,
    "effect.change": _NUMBER,
    "effect.relative": _NUMBER,
    "effect.layers": _MAPPING,
}


def _find(passport: Any, path: str, where: str) -> Any:
    found = passport
    for part in path.split("."):
        if part not in found:
            raise AdapterError(
                f"{where}: expected the field {path}, got a passport without it. "
                "Fetch the adapter again, or make it again with this version of mfl_adapt."
            )
        found = found[part]
    return found


def _check_values(passport: Mapping[str, Any], where: str) -> None:
    """Raise unless numbers are in their range.

    Raises:
        AdapterError: Naming the field.
    """
    described, effect = passport["adapter"], passport["effect"]
    for name in ("parameters", "layers"):
        if described[name] < 0:
            _refuse(where, f"adapter.{name}", "at least 0", described[name])
    # What torch takes as a seed.
    if not -(2**63) <= described["seed"] < 2**63:
        _refuse(where, "adapter.seed", "a number of 64 bits", described["seed"])
    sizes = {f"effect.{name}": effect[name] for name in ("change", "relative")}
    sizes |= {f"effect.layers.{name}": size for name, size in effect["layers"].items()}
    for name, size in sizes.items():
        if size is not None and not _is_size(size):
            _refuse(where, name, "a finite number of at least 0", size)
    forced = passport.get("forced", [])
    if not isinstance(forced, list) or not all(isinstance(one, str) for one in forced):
        _refuse(where, "forced", "a list of texts", forced)


def _is_size(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value <= 1e300 and math.isfinite(value)


def _refuse(where: str, path: str, wanted: str, value: Any) -> NoReturn:
    """Say what a field should be.

    Raises:
        AdapterError: Always.
    """
    raise AdapterError(
        f"{where}: expected {path} to be {wanted}, got {_shorten(value)}. Fetch the adapter again."
    )


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        # Two readers of one file may each take another one of the two.
        raise ValueError(f"the key {_shorten(twice)} twice")
    return found
