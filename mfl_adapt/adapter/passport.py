"""What an adapter says about itself, and what it must agree with.

The same JSON stands in ``passport.json`` and in the header of the weights, so that neither can be
swapped alone. Its fixed fields are written here, from the adapter itself; the rest is what the
run hands over.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base

SCHEMA = "mfl_adapt.adapter/1"
SECTIONS = ("plugins", "config", "seeds", "metrics")
"""Always there and always a mapping; empty means that nobody said anything."""


def make_passport(adapter: AttachedAdapter, given: Mapping[str, Any]) -> dict[str, Any]:
    """Join what the run says with what the adapter is.

    Args:
        adapter: The adapter as it will be saved.
        given: JSON values: ``plugins``, ``config``, ``seeds``, ``metrics`` and whatever else
            belongs to the evidence (``data``, ``environment``, ``retention``, ``licence``).

    Returns:
        Plain JSON values.

    Raises:
        AdapterError: If a value is no JSON, a section is no mapping, or a fixed field is given
            with another value than the adapter has.
    """
    fixed = {
        "schema": SCHEMA,
        "base": _describe_base(adapter.base),
        "contract": asdict(adapter.base.contract),
        "adapter": _describe_adapter(adapter),
        "adapter_hash": digest_tensors(adapter.state_dict()),
    }
    fixed = _to_json(fixed)
    passport = {name: {} for name in SECTIONS} | _to_json(dict(given))
    for name in SECTIONS:
        if not isinstance(passport[name], dict):
            raise AdapterError(
                f"passport.{name}: expected a mapping, got {passport[name]!r}. "
                "Leave it out if there is nothing to say."
            )
    for name in sorted(fixed.keys() & given.keys()):
        if passport[name] != fixed[name]:
            raise AdapterError(
                f"passport.{name}: expected {json.dumps(fixed[name])}, which is what the adapter "
                f"is, got {json.dumps(passport[name])}. Leave it out: it is filled in."
            )
    return passport | fixed


def check_schema(passport: Any, where: str) -> None:
    """Raise unless the passport is one that this version can read.

    Args:
        passport: What the file holds.
        where: The file, for the message.

    Raises:
        AdapterError: If it is no mapping, of another schema, or lacks a field.
    """
    schema = passport.get("schema") if isinstance(passport, dict) else None
    if schema != SCHEMA:
        raise AdapterError(
            f"{where}: expected a passport of schema {SCHEMA!r}, got {schema!r}. "
            "Load it with the version of mfl_adapt that wrote it."
        )
    missing = [name for name in ("base", "adapter", "adapter_hash") if name not in passport]
    if missing:
        raise AdapterError(
            f"{where}: expected the fields base, adapter and adapter_hash, got a passport "
            f"without {', '.join(missing)}. Fetch the adapter again."
        )


def check_base(passport: Mapping[str, Any], base: Base, where: str) -> None:
    """Raise unless the adapter was made for these very weights.

    Args:
        passport: The adapter's passport.
        base: The base it shall be put on.
        where: The adapter, for the message.

    Raises:
        AdapterError: If architecture or weights differ; the message names both sides.
    """
    wanted, present = passport["base"], _describe_base(base)
    for field in ("fingerprint", "sha256"):
        if wanted.get(field) != present[field]:
            raise AdapterError(
                f"{where}: expected the base {wanted.get('id')} with {field} "
                f"{wanted.get(field)}, which it was trained on, got {present['id']} with {field} "
                f"{present[field]}. Load that base, or train an adapter for this one."
            )


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that is always the same for the same value."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _describe_adapter(adapter: AttachedAdapter) -> dict[str, Any]:
    described = {
        "method": None if adapter.config is None else adapter.config.peft_type.value,
        "parameters": adapter.num_parameters(),
        "layers": len(adapter.layers),
        "seed": adapter.seed,
    }
    # Only where there is one, so that the passports of all others stay as they were.
    if adapter.save_dtype is not None:
        described["dtype"] = str(adapter.save_dtype).removeprefix("torch.")
    return described if adapter.extra is None else described | {"extra": adapter.extra.recipe}


def _describe_base(base: Base) -> dict[str, str]:
    return {"id": base.id, "sha256": base.sha256, "fingerprint": base.fingerprint}


def _to_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return the value as it will come back from the file: tuples as lists.

    Raises:
        AdapterError: If something in it has no place in JSON.
    """
    try:
        plain: dict[str, Any] = json.loads(dump_json(value))
    except (TypeError, ValueError) as error:
        raise AdapterError(
            f"passport: expected JSON values with finite numbers, got: {error}. "
            "Convert the value before saving."
        ) from error
    return plain
