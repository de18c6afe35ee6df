"""Adapters, each put on the base that its passport names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.adapter import AdapterChoice, digest_tensors, load_several, read_header
from mfl_adapt.errors import AdapterError

if TYPE_CHECKING:
    from mfl_adapt.adapter import AttachedAdapter
    from mfl_adapt.plugin import Base
    from mfl_adapt.plugin.registry import PluginHost


def load_adapters(
    choices: Sequence[AdapterChoice | Path],
    bases: Sequence[Base],
    host: PluginHost | None = None,
) -> dict[str, tuple[AttachedAdapter, ...]]:
    """Put each adapter on its base, beside others that belong there.

    Args:
        choices: Adapter folders, with strengths where they are not used as a whole.
        bases: Bases whose networks are changed in place.
        host: Active plugins, for adapters with a network of their own; None looks for them.

    Returns:
        The adapters, by the id of their base; bases without one are left out.

    Raises:
        AdapterError: If a folder is broken, an adapter belongs to none of the bases, or two that
            belong to one cannot be used together.
    """
    owned: dict[str, list[AdapterChoice]] = {}
    for choice in map(AdapterChoice.of, choices):
        owned.setdefault(_owner(choice.folder, bases).id, []).append(choice)
    return {base.id: load_several(base, owned[base.id], host) for base in bases if base.id in owned}


def describe_adapters(
    adapters: Mapping[str, Sequence[AttachedAdapter]],
) -> dict[str, list[dict[str, Any]]]:
    """Name adapters by the id of their base, the hash of their weights and their strength."""
    return {
        base: [
            {"adapter_hash": adapter_hash(adapter), "strength": adapter.strength}
            for adapter in several
        ]
        for base, several in adapters.items()
    }


def adapter_hash(adapter: AttachedAdapter) -> str:
    """Return the hash in the passport, or that of the weights of one that was never saved."""
    return (adapter.passport or {}).get("adapter_hash") or digest_tensors(adapter.state_dict())


def _owner(folder: Path, bases: Sequence[Base]) -> Base:
    """The base that a passport names.

    Raises:
        AdapterError: If it is none of these.
    """
    wanted = read_header(folder).passport["base"]
    for base in bases:
        if (wanted.get("fingerprint"), wanted.get("sha256")) == (base.fingerprint, base.sha256):
            return base
    same = next((base for base in bases if base.id == wanted.get("id")), None)
    hint = "Name its base with --base or --views-base."
    if same is not None:
        hint = f"It was trained on another version of {same.id}: load that checkpoint."
    present = " and ".join(f"{base.id} (sha256 {base.sha256[:12]})" for base in bases)
    raise AdapterError(
        f"{folder}: expected an adapter for {present}, got one for {wanted.get('id')} (sha256 "
        f"{str(wanted.get('sha256'))[:12]}). {hint}"
    )
