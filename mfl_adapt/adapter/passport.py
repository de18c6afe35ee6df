"""What an adapter says about itself, and what it must agree with.

The same JSON stands in ``passport.json`` and in the header of the weights, so that neither can be
swapped alone. Its fixed fields are written here, from the adapter itself; the rest is what the
run hands over.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, NamedTuple

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.effect import Effect, find_difference
from mfl_adapt.adapter.schema import SCHEMA, SECTIONS, check_schema, dump_json
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import MFL_API, Base
from mfl_adapt.types import RigContract

__all__ = [
    "Mismatch",
    "check_base",
    "check_schema",
    "describe_base",
    "dump_json",
    "find_mismatches",
    "make_passport",
    "to_json",
]


class Mismatch(NamedTuple):
    """What keeps an adapter off a base.

    Attributes:
        sides: What it wants and what is there, ``..., got ...``.
        remedy: What to do, as one sentence.
    """

    sides: str
    remedy: str


def make_passport(
    adapter: AttachedAdapter, given: Mapping[str, Any], effect: Effect
) -> dict[str, Any]:
    """Join what the run says with what the adapter is.

    What an adapter was forced to stays in every passport after that.

    Args:
        adapter: The adapter as it will be saved.
        given: JSON values: ``plugins``, ``config``, ``seeds``, ``metrics`` and whatever else
            belongs to the evidence (``data``, ``environment``, ``retention``, ``licence``).
        effect: What the adapter was seen to do.

    Returns:
        Plain JSON values.

    Raises:
        AdapterError: If a value is no JSON, a section is no mapping, or a fixed field is given
            with another value than the adapter has.
    """
    fixed = {
        "schema": SCHEMA,
        "plugin_api": MFL_API,
        "base": describe_base(adapter.base),
        "contract": asdict(adapter.base.contract),
        "adapter": _describe_adapter(adapter),
        "adapter_hash": digest_tensors(adapter.state_dict()),
    }
    fixed = to_json(fixed)
    passport = {name: {} for name in SECTIONS} | to_json(dict(given))
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
    passport |= fixed | {"effect": _settle(effect, passport.get("effect"), adapter)}
    forced = [*(adapter.passport or {}).get("forced", []), *passport.get("forced", [])]
    if forced:
        passport["forced"] = list(dict.fromkeys(forced))
    check_schema(passport, "passport")
    return passport


def check_base(passport: Mapping[str, Any], base: Base, where: str) -> None:
    """Raise unless the adapter was made for these very weights.

    Args:
        passport: The adapter's passport.
        base: The base it shall be put on.
        where: The adapter, for the message.

    Raises:
        AdapterError: If architecture or weights differ; the message names both sides.
    """
    for field in ("fingerprint", "sha256"):
        for mismatch in _base_mismatches(passport, base, field):
            raise AdapterError(f"{where}: expected {mismatch.sides}. {mismatch.remedy}")


def find_mismatches(passport: Mapping[str, Any], base: Base, where: str) -> list[Mismatch]:
    """Hold a passport against a base and this program.

    Args:
        passport: The adapter's passport.
        base: The base it shall be put on.
        where: The adapter, for the message.

    Returns:
        What differs and can be forced; empty if all agree.

    Raises:
        AdapterError: If the architecture differs, which nothing can force.
    """
    if _base_mismatches(passport, base, "fingerprint"):
        check_base(passport, base, where)
    found = _base_mismatches(passport, base, "sha256") + _contract_mismatches(passport, base)
    if passport["plugin_api"] != MFL_API:
        sides = f"the plugin API {passport['plugin_api']}, which it was made with, got {MFL_API}"
        found.append(Mismatch(sides, "Use the version of mfl_adapt that wrote it."))
    return found


def describe_base(base: Base) -> dict[str, str]:
    """Return how a passport names a base."""
    return {"id": base.id, "sha256": base.sha256, "fingerprint": base.fingerprint}


def to_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return the value as it will come back from the file: tuples as lists.

    Raises:
        AdapterError: If something in it has no place in JSON.
    """
    try:
        text = dump_json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise AdapterError(
            f"passport: expected JSON values with finite numbers, got: {error}. "
            "Convert the value before saving."
        ) from error
    plain: dict[str, Any] = json.loads(text)
    return plain


def _settle(measured: Effect, given: Any, adapter: AttachedAdapter) -> dict[str, Any]:
    """Keep what was recorded of these very weights, which other machines see a digit beside.

    Raises:
        AdapterError: If what is given is another effect than the adapter has.
    """
    found = to_json(measured.to_json())
    # Two halves of a made-up record could not be compared; ``check_schema`` speaks of its form.
    if not isinstance(given, dict) or given.keys() != found.keys():
        return found
    difference = find_difference(measured, Effect.from_json(given), adapter.base)
    if difference is not None:
        raise AdapterError(f"passport.effect: expected {difference}. Leave it out: it is measured.")
    return given


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


def _base_mismatches(passport: Mapping[str, Any], base: Base, field: str) -> list[Mismatch]:
    wanted, present = passport["base"], describe_base(base)
    if wanted.get(field) == present[field]:
        return []
    sides = (
        f"the base {wanted.get('id')} with {field} {wanted.get(field)}, which it was trained on, "
        f"got {present['id']} with {field} {present[field]}"
    )
    return [Mismatch(sides, "Load that base, or train an adapter for this one.")]


def _contract_mismatches(passport: Mapping[str, Any], base: Base) -> list[Mismatch]:
    wanted, present = passport["contract"], to_json(asdict(base.contract))
    names = sorted(wanted.keys() | present.keys())
    differing = [name for name in names if _rule(wanted, name) != _rule(present, name)]
    if not differing:
        return []
    sides = [
        ", ".join(f"{name} {dump_json(_rule(contract, name))}" for name in differing)
        for contract in (wanted, present)
    ]
    return [
        Mismatch(
            f"a rig contract with {sides[0]}, got that of {base.id} with {sides[1]}",
            "Open the base with the settings of the training.",
        )
    ]


_DEFAULTS = {one.name: one.default for one in fields(RigContract) if one.default is not MISSING}


def _rule(contract: Mapping[str, Any], name: str) -> Any:
    """A rule of a contract; one that is younger than the passport has its default."""
    default = _DEFAULTS.get(name)
    return contract.get(name, list(default) if isinstance(default, tuple) else default)
