"""The base that an adapter was made for, opened from what its passport says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base, BaseSpec
from mfl_adapt.plugin.registry import PluginHost, load_plugins


def open_base_of(
    passport: Mapping[str, Any],
    *,
    where: str,
    checkpoint: Path | None = None,
    host: PluginHost | None = None,
) -> Base:
    """Open the base that an adapter's passport names.

    Which settings the base had is taken from the run's configuration in the passport; an adapter
    without one takes the component's defaults. Whether it is the same base is left to ``load``,
    which compares hashes.

    Args:
        passport: The adapter's passport.
        where: The adapter, for messages.
        checkpoint: Weights of the base on this machine; those of the passport's configuration, or
            those that ship with the base's plugin, if None.
        host: Active plugins, the base's among them; its plugin alone is loaded if None.

    Returns:
        The base, frozen and in evaluation mode, without an adapter.

    Raises:
        AdapterError: If the passport names no component.
        PluginError: If no installed plugin offers it.
        ConfigError: If its settings are not valid.
        CheckpointError: If the weights cannot be used.
    """
    named = passport["base"].get("id")
    # A file that somebody sent must not name a path, which would be run.
    if not isinstance(named, str) or not all(map(str.isidentifier, named.split("."))):
        raise AdapterError(
            f"{where}: expected the passport's base.id to name a component, got {named!r}. "
            "Fetch the adapter again."
        )
    recorded = passport.get("config", {}).get("base") or {}
    settings = {key: value for key, value in recorded.items() if key != "id"}
    if recorded.get("id") != named:
        settings = {}
    if checkpoint is not None:
        settings["checkpoint"] = str(checkpoint)
    host = host or load_plugins([named.partition(".")[0]])
    base: Base = host.build(BaseSpec, named, settings, where=f"{where}: base")
    return base
