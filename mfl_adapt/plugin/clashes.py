"""Refuses active plugins that cannot work side by side, and names the distributions of both."""

from collections.abc import Sequence

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.manager import Plugin
from mfl_adapt.plugin.specs import CheckSpec


def check_modules(plugins: Sequence[Plugin]) -> None:
    """Two names for one module would call its hooks twice.

    Raises:
        PluginError: If two plugins are the same module.
    """
    owners: dict[str, Plugin] = {}
    for plugin in plugins:
        other = owners.setdefault(plugin.source.module, plugin)
        if other is not plugin:
            raise PluginError(
                f"plugins: expected one plugin per module, got {other.name!r} of "
                f"{other.distribution} and {plugin.name!r} of {plugin.distribution}, which are "
                f"both {plugin.source.module}. Remove one with --plugins -{plugin.name}."
            )


def check_codes(plugins: Sequence[Plugin]) -> None:
    """Codes of checks are quoted in reports, so no two checks may share one.

    Raises:
        PluginError: If two do.
    """
    owners: dict[str, str] = {}
    for plugin in plugins:
        for spec in plugin.components:
            if not isinstance(spec, CheckSpec):
                continue
            name = f"{plugin.name}.{spec.name} of {plugin.distribution}"
            other = owners.setdefault(spec.code, name)
            if other != name:
                raise PluginError(
                    f"plugins: expected one check with code {spec.code}, got {other} and {name}. "
                    f"Remove one with --plugins -{plugin.name}."
                )
