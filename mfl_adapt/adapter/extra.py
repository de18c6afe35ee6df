"""The network of its own that an adapter may have, beside what peft does to the base's layers.

Its tensors lie in a file of their own, so that the other one holds nothing that stock peft would
stumble over. How to build it again stands in the passport, as a component with its settings.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from mfl_adapt.errors import AdapterError, PluginError
from mfl_adapt.plugin import AdapterMethod, AdapterSpec, ExtraMethod, ExtraModule
from mfl_adapt.plugin.registry import PluginHost, load_plugins

EXTRA_PREFIX = "extra."
"""What its tensors' names begin with where they stand beside peft's, as in the adapter hash."""

ExtraBuilder = Callable[[nn.Module], ExtraModule]


def extra_builder(method: AdapterMethod) -> ExtraBuilder | None:
    """Return what builds a method's own network, or None if it has none."""
    return method.extra if isinstance(method, ExtraMethod) else None


def installed_extra(module: nn.Module) -> Any:
    """Return the ``ExtraModule`` in a base's network, or None."""
    return next((child for child in module.children() if isinstance(child, ExtraModule)), None)


def extra_tensors(extra: nn.Module | None) -> dict[str, Tensor]:
    """Return its tensors by the names in its file, detached; empty without one."""
    state = {} if extra is None else extra.state_dict()
    return {name: state[name].detach() for name in sorted(state)}


def with_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by the names under which they stand beside peft's."""
    return {EXTRA_PREFIX + name: tensor for name, tensor in tensors.items()}


def rebuild(recipe: Any, where: str, host: PluginHost | None = None) -> ExtraBuilder:
    """Find the component that a passport names, among the installed plugins.

    Args:
        recipe: The passport's ``adapter.extra``.
        where: The passport's file, for messages.
        host: The run's plugins. None, or one in which the plugin is installed but not active,
            loads that plugin alone.

    Returns:
        What builds the network.

    Raises:
        AdapterError: If the recipe is none, no installed plugin offers the component, or it has
            no network of its own.
        ConfigError: If the component does not take these settings.
    """
    use = recipe.get("use") if isinstance(recipe, dict) else None
    # A file that somebody sent must not name a path, which would be run.
    if not isinstance(use, str) or not re.fullmatch(r"\w+\.\w+", use, re.ASCII):
        raise AdapterError(
            f"{where}: expected adapter.extra to name a component under 'use', got {use!r}. "
            "Fetch the adapter again."
        )
    settings = {key: value for key, value in recipe.items() if key != "use"}
    plugin = use.partition(".")[0]
    try:
        host = _host_of(plugin, host)
        host.component(AdapterSpec, use)
    except PluginError as error:
        raise AdapterError(
            f"{where}: expected the plugin {plugin!r} with {use!r}, which the adapter needs, got: "
            f"{error} Install the plugin in the version that the adapter was made with."
        ) from error
    method = host.build(AdapterSpec, use, settings, where=f"{where}: adapter.extra")
    build = extra_builder(method)
    if build is None:
        raise AdapterError(
            f"{where}: expected a component with a network of its own, got {use}, which has none. "
            "Install the version of its plugin that the adapter was made with."
        )
    return build


def _host_of(plugin: str, host: PluginHost | None) -> PluginHost:
    """Return the run's plugins, or the named one alone where they leave it inactive."""
    known = () if host is None else host.plugins()
    inactive = any(one.name == plugin and one.state == "available" for one in known)
    return load_plugins([plugin]) if host is None or inactive else host
