"""Adapters, each put on the base that its passport names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.adapter import load, read_adapter
from mfl_adapt.errors import AdapterError

if TYPE_CHECKING:
    from mfl_adapt.adapter import AttachedAdapter
    from mfl_adapt.plugin import Base
    from mfl_adapt.plugin.registry import PluginHost


def load_adapters(
    folders: Sequence[Path], bases: Sequence[Base], host: PluginHost | None = None
) -> dict[str, AttachedAdapter]:
    """Put each adapter on its base.

    Args:
        folders: Adapter folders.
        bases: Bases whose networks are changed in place.
        host: Active plugins, for adapters with a network of their own; None looks for them.

    Returns:
        The adapters, by the id of their base.

    Raises:
        AdapterError: If a folder is broken, an adapter belongs to none of the bases, or two
            belong to one.
    """
    owners: dict[str, Path] = {}
    chosen: list[tuple[Path, Base]] = []
    for folder in folders:
        base = _owner(folder, bases)
        if base.id in owners:
            raise AdapterError(
                f"--adapter: expected at most one for each base, got {owners[base.id]} and "
                f"{folder}, both for {base.id}. Leave one out."
            )
        owners[base.id] = folder
        chosen.append((folder, base))
    return {base.id: load(base, folder, host=host) for folder, base in chosen}


def describe_adapters(adapters: Mapping[str, AttachedAdapter]) -> dict[str, str]:
    """Name adapters by the id of their base and the hash of their weights."""
    found = {}
    for base, adapter in adapters.items():
        assert adapter.passport is not None, "it came from a file"
        found[base] = str(adapter.passport["adapter_hash"])
    return found


def _owner(folder: Path, bases: Sequence[Base]) -> Base:
    """The base that a passport names.

    Raises:
        AdapterError: If it is none of these.
    """
    wanted = read_adapter(folder).passport["base"]
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
