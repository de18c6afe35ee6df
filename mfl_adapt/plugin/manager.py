"""Loads plugins one at a time, each in isolation, and gives every one a state and a reason.

A plugin is

    active        loaded, and named by the configuration or the command line
    available     loadable, but not named
    disabled      switched off by the user, with ``-name`` or ``plugins disable``
    incompatible  written for another version of the plugin interface
    broken        raises on import, breaks a rule of a slot, or contributes nothing
    shadowed      hidden by another plugin of the same name
    unknown       not imported because nothing was to be, so that nobody knows
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Literal

import pluggy

from mfl_adapt.errors import PluginError, did_you_mean
from mfl_adapt.plugin import hookspecs, tracing
from mfl_adapt.plugin.disabled import read_disabled, reason_of
from mfl_adapt.plugin.discovery import (
    Candidate,
    find_files,
    find_installed,
    import_plugin,
    is_file_plugin,
    isolated,
    plugin_name,
)
from mfl_adapt.plugin.specs import Spec
from mfl_adapt.plugin.validation import check_handshake, check_hooks, check_specs

logger = logging.getLogger(__name__)

State = Literal["active", "available", "disabled", "incompatible", "broken", "shadowed", "unknown"]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin as this call found it.

    Attributes:
        source: Where it comes from.
        state: See the module's docstring.
        reason: Why it is not usable; empty for active and available ones.
        components: What it offers; empty unless it was imported.
        hooks: Names of the hooks it implements.
        module: Its module; None unless it was imported whole.
    """

    source: Candidate
    state: State
    reason: str = ""
    components: tuple[Spec, ...] = ()
    hooks: tuple[str, ...] = ()
    module: ModuleType | None = None

    @property
    def name(self) -> str:
        """What the user types."""
        return self.source.name

    @property
    def distribution(self) -> str:
        """Distribution or file that supplies it."""
        return self.source.distribution

    @property
    def version(self) -> str:
        """Version of the distribution; empty for a file."""
        return self.source.version


def new_manager() -> pluggy.PluginManager:
    """Make an empty pluggy manager that knows our hooks."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    tracing.watch(manager)
    return manager


def collect(
    active: Sequence[str],
    *,
    disabled: Collection[str] = (),
    all_available: bool = False,
    strict: bool = True,
    imports: bool = True,
) -> list[Plugin]:
    """Load the active plugins and report on all others, sorted by name.

    Plugins that the user disabled for good are never imported, even if they are named.

    Args:
        active: Names of installed plugins and paths of single-file ones.
        disabled: Names never to import.
        all_available: Import the others as well, to learn what they offer and whether they work.
        strict: Raise if an active plugin cannot be used; otherwise give it its state.
        imports: Whether to import anything at all; if not, what works stays ``unknown``.

    Raises:
        PluginError: If an active plugin is unknown or, being strict, offered twice, broken or
            incompatible.
        ConfigError: If the user's list of disabled plugins cannot be used.
    """
    switched_off = read_disabled()
    installed, files = find_installed(), find_files(active)
    names = {plugin_name(entry) for entry in active}
    by_path = {one.name: one for one in files}
    _check_known(active, installed)
    if strict:
        _check_unique(active, installed, files)
    plugins = []
    for candidate in sorted([*installed, *files], key=lambda one: (one.name, one.distribution)):
        hiding = by_path.get(candidate.name, candidate)
        if candidate.name in disabled:
            plugins.append(Plugin(candidate, "disabled", f"removed with -{candidate.name}"))
        elif candidate.path is None and candidate.name in switched_off:
            reason = reason_of(candidate.name, switched_off[candidate.name])
            if candidate.name in names and hiding is candidate:
                logger.info("plugins: %s is not loaded: %s", candidate.name, reason)
            plugins.append(Plugin(candidate, "disabled", reason))
        elif hiding is not candidate:
            plugins.append(Plugin(candidate, "shadowed", f"hidden by {hiding.distribution}"))
        elif rival := _rival(candidate, installed):
            reason = f"also offered by {rival.distribution}. Uninstall one of the two."
            plugins.append(Plugin(candidate, "shadowed", reason))
        elif not imports:
            plugins.append(Plugin(candidate, "unknown", "not imported"))
        elif candidate.name in names:
            plugins.append(_load_named(candidate, strict))
        else:
            plugins.append(load(candidate) if all_available else Plugin(candidate, "available"))
    return plugins


def _check_known(active: Sequence[str], installed: Sequence[Candidate]) -> None:
    """Refuse names that nobody offers.

    Raises:
        PluginError: If there is such a name.
    """
    known = {one.name for one in installed}
    for entry in active:
        if not is_file_plugin(entry) and entry not in known:
            raise PluginError(
                f"plugins: expected an installed plugin, got {entry!r}. "
                f"{did_you_mean(entry, known)}"
            )


def _check_unique(
    active: Sequence[str], installed: Sequence[Candidate], files: Sequence[Candidate]
) -> None:
    """Refuse active names that two distributions or files offer.

    Raises:
        PluginError: If there is such a name.
    """
    for entry in active:
        name = plugin_name(entry)
        offers = [one for one in installed if one.name == name and name in active]
        offers += [one for one in files if one.name == name]
        if len(offers) > 1:
            listed = " and ".join(one.distribution for one in offers)
            raise PluginError(
                f"plugins: expected one plugin named {name!r}, got {len(offers)}: {listed}. "
                "Uninstall or rename one of them."
            )


def _rival(candidate: Candidate, installed: Sequence[Candidate]) -> Candidate | None:
    """Another distribution that offers the same name; a file was chosen by its path."""
    if candidate.path is not None:
        return None
    same = (one for one in installed if one.name == candidate.name and one is not candidate)
    return next(same, None)


def _load_named(candidate: Candidate, strict: bool) -> Plugin:
    """Load a plugin that the user asked for.

    Raises:
        PluginError: If it is broken or incompatible, and this is not only for a list.
    """
    plugin = load(candidate)
    if plugin.state == "available":
        return replace(plugin, state="active")
    if strict:
        raise PluginError(
            f"plugin {candidate.name!r} of {candidate.distribution} is {plugin.state}: "
            f"{plugin.reason}"
        )
    return plugin


def load(candidate: Candidate) -> Plugin:
    """Import one plugin and validate all it offers; never raises on the plugin's account."""
    # The last such line before a crash names the culprit.
    logger.debug("importing plugin %s of %s", candidate.name, candidate.distribution)
    try:
        module = import_plugin(candidate)
        reason = check_handshake(module)
        if reason:
            return Plugin(candidate, "incompatible", reason)
        return _inspect(candidate, module)
    except PluginError as error:
        logger.debug("plugin %s is broken: %s", candidate.name, error)
        who = f"plugin {candidate.name!r} of {candidate.distribution}: "
        return Plugin(candidate, "broken", str(error).removeprefix(who))


def _inspect(candidate: Candidate, module: ModuleType) -> Plugin:
    """Ask a module for its hooks and components, in a manager of its own.

    Raises:
        PluginError: If they break a rule, or there are none.
    """
    manager = new_manager()
    heard = tracing.hear(module, candidate)
    with isolated(candidate, "registering its hooks"):
        manager.register(heard, candidate.name)
    check_hooks(manager, heard)
    returned: list[object] = []
    with isolated(candidate, "register_components"):
        for each in manager.hook.register_components():
            returned.append(list(each) if hasattr(each, "__next__") else each)
    components = check_specs(returned[0]) if returned else ()
    hooks = tuple(sorted(one.name for one in manager.get_hookcallers(heard) or []))
    observers = [name for name in hooks if name != "register_components"]
    if not components and not observers:
        raise PluginError(_why_empty(module))
    return Plugin(candidate, "available", "", components, hooks, module)


def _why_empty(module: ModuleType) -> str:
    """Say why a plugin contributes nothing; the usual reason is a forgotten marker."""
    hooks = [name for name in vars(hookspecs) if callable(getattr(module, name, None))]
    bare = [name for name in hooks if name not in {"hookimpl", "hookspec", "Spec", "Any", "Path"}]
    marked = getattr(module, "register_components", None)
    if marked is not None and hasattr(marked, f"{hookspecs.PROJECT}_impl"):
        return "contributes nothing: register_components returned no record."
    if bare:
        return f"contributes nothing: {bare[0]} lacks its marker. Write @hookimpl above it."
    return "contributes nothing: it implements no hook. Add @hookimpl register_components."
