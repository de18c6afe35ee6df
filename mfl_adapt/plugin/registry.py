"""The active plugins of one run, their components by name, and how they are built.

    host = load_plugins(["masked_loss"])
    loss = host.build(LossSpec, "masked_loss.masked_l2", {})

Every call makes its own host; there is no global one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NoReturn, TypeVar, cast

from pydantic import BaseModel

from mfl_adapt.checks import check_settings
from mfl_adapt.errors import ConfigError, PluginError, did_you_mean
from mfl_adapt.plugin import tracing
from mfl_adapt.plugin.clashes import check_codes, check_modules
from mfl_adapt.plugin.discovery import isolated, resolve
from mfl_adapt.plugin.manager import Plugin, collect, new_manager
from mfl_adapt.plugin.specs import BaseSpec, CheckSpec, ExporterSpec, ReaderSpec, Spec
from mfl_adapt.plugin.validation import SLOTS, slot_of, with_article

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Resolved(Generic[S]):
    """A component together with the plugin that offers it.

    Attributes:
        spec: The record.
        plugin: Name of the plugin.
        distribution: Distribution or file that supplies the plugin.
        version: Version of the distribution; empty for a file.
    """

    spec: S
    plugin: str
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """Full name, ``plugin.component``."""
        return f"{self.plugin}.{self.spec.name}"


class PluginHost:
    """Looks components up among the active plugins, validates their settings and builds them."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        """Take what ``collect`` found.

        Raises:
            PluginError: If two active plugins share a module or a check code.
        """
        self._plugins = tuple(plugins)
        self._active = {one.name: one for one in plugins if one.state == "active"}
        check_modules(tuple(self._active.values()))
        check_codes(tuple(self._active.values()))
        self._manager = new_manager()
        # pluggy calls the latest registration first, so this order calls them by name.
        for plugin in reversed(self._active.values()):
            assert plugin.module is not None, "an active plugin has been imported"
            self._manager.register(tracing.hear(plugin.module, plugin.source), plugin.name)

    @property
    def observers(self) -> Any:
        """The hooks of all active plugins, for instance ``observers.run_started(run=run)``."""
        return self._manager.hook

    def plugins(self) -> tuple[Plugin, ...]:
        """Return every plugin that was found, whatever its state, sorted by name."""
        return self._plugins

    def components(self, slot: type[S]) -> list[Resolved[S]]:
        """Return all active components of a slot, sorted by plugin, then in its own order."""
        return [
            Resolved(spec, plugin.name, plugin.distribution, plugin.version)
            for plugin in self._active.values()
            for spec in plugin.components
            if isinstance(spec, slot)
        ]

    def lookup(self, slot: str, name: str, *, where: str = "") -> Resolved[Spec]:
        """Look up a component like ``component``, by the word for its slot (``loss``)."""
        kind = next(kind for kind, word in SLOTS.items() if word == slot)
        return self.component(kind, name, where=where)

    def offers(self, plugin: str) -> list[tuple[str, str]]:
        """Return slot word and full name of all components of an active plugin."""
        found = self._active.get(plugin)
        specs = found.components if found else ()
        return [(slot_of(spec), f"{plugin}.{spec.name}") for spec in specs]

    def acts_alone(self, plugin: str) -> bool:
        """Tell whether a plugin does something without being chosen: checks, files, observers."""
        found = self._active.get(plugin)
        if found is None:
            return False
        observes = set(found.hooks) - {"register_components"}
        alone = (CheckSpec, ExporterSpec)
        return bool(observes) or any(isinstance(spec, alone) for spec in found.components)

    def component(self, slot: type[S], name: str, *, where: str = "") -> Resolved[S]:
        """Look up ``plugin.component``, or ``plugin`` alone where it has one of that slot.

        Args:
            slot: Type of the record (``LossSpec``).
            name: What the user typed.
            where: File, line and key for messages.

        Raises:
            PluginError: If there is no such plugin or component, or the plugin is not active.
        """
        prefix = f"{where}: " if where else ""
        plugin_name, _, component_name = name.partition(".")
        plugin = self._active.get(plugin_name) or self._missing(slot, plugin_name, prefix)
        offered = {spec.name: spec for spec in plugin.components if isinstance(spec, slot)}
        found = next(iter(offered.values())) if len(offered) == 1 else None
        if component_name:
            found = offered.get(component_name)
        if found is None:
            raise PluginError(prefix + _no_component(slot, name, plugin, list(offered)))
        return Resolved(found, plugin.name, plugin.distribution, plugin.version)

    def _missing(self, slot: type[S], name: str, prefix: str) -> NoReturn:
        """Say why a plugin is not among the active ones.

        Raises:
            PluginError: Always.
        """
        word = SLOTS[slot]
        installed = next((one for one in self._plugins if one.name == name), None)
        if installed is None:
            known = {one.name for one in self._plugins}
            raise PluginError(
                f"{prefix}expected {with_article(word)} of an installed plugin, got {name!r}. "
                f"{did_you_mean(name, known)}"
            )
        if installed.state != "available":
            raise PluginError(
                f"{prefix}plugin {name!r} of {installed.distribution} is {installed.state}: "
                f"{installed.reason}"
            )
        raise PluginError(
            f"{prefix}expected {with_article(word)} of an active plugin, got {name!r}, which is "
            f"installed but not active. Add --plugins {name}, or name it under 'plugins:'."
        )

    def settings(
        self, slot: type[S], name: str, settings: Mapping[str, Any], *, where: str = ""
    ) -> BaseModel:
        """Validate a component's settings by its own model; imports nothing heavy.

        Args:
            slot: Type of the record.
            name: ``plugin.component``, or its shorthand.
            settings: The keys beside ``use``, ``id`` or ``weight``.
            where: File, line and key for messages; the component's name if empty.

        Raises:
            ConfigError: If a key is unknown or missing, or a value breaks its rule.
            PluginError: If there is no such component.
        """
        found = self.component(slot, name, where=where)
        return check_settings(found.spec.config, settings, name, lambda _: where)

    def build(
        self,
        slot: type[S],
        name: str,
        settings: Mapping[str, Any] | BaseModel | None = None,
        *,
        where: str = "",
    ) -> Any:
        """Make a component: validate its settings, import its code, call it.

        Args:
            slot: Type of the record.
            name: ``plugin.component``, or its shorthand.
            settings: As for ``settings``, or an instance of the component's own model.
            where: File, line and key for messages.

        Returns:
            What the slot's Protocol describes.

        Raises:
            ConfigError: If the settings are not valid.
            PluginError: If there is no such component, or its code cannot be imported.
        """
        found = self.component(slot, name, where=where)
        if not isinstance(settings, found.spec.config):
            settings = self.settings(slot, name, cast(Any, settings or {}), where=where)
        return tracing.build(found, self._import(found, found.spec.build), settings)

    def outline(self, name: str, settings: Mapping[str, Any], *, where: str = "") -> Any:
        """Build a base without weights.

        Args:
            name: ``plugin.component``, or its shorthand.
            settings: As for ``build``.
            where: File, line and key for messages.

        Returns:
            A ``Base`` whose network lies on torch's meta device.

        Raises:
            ConfigError: If the settings are not valid.
            PluginError: If there is no such base, its code cannot be imported, or its plugin
                offers no outline.
        """
        found = self.component(BaseSpec, name, where=where)
        if found.spec.outline is None:
            known = [one.name for one in self.components(BaseSpec) if one.spec.outline is not None]
            raise PluginError(
                f"{where}: expected a base that can be built without its weights, got "
                f"{found.name}. Name one of {', '.join(known) or 'a plugin that offers one'}."
            )
        checked = self.settings(BaseSpec, name, settings, where=where)
        return self._import(found, found.spec.outline)(checked)

    def readers_for(self, path: Path) -> list[Resolved[ReaderSpec]]:
        """Return every active reader that recognizes a path.

        Raises:
            PluginError: If a reader's ``can_read`` cannot be imported, or raises.
        """
        return [one for one in self.components(ReaderSpec) if self._can_read(one, path)]

    def exporter_for(
        self, path: Path, takes: Literal["gaussians", "frames"] = "gaussians"
    ) -> Resolved[ExporterSpec]:
        """Return the active exporter for a file's ending; of several that fit, the longest.

        Args:
            path: File to write.
            takes: What it is to write.

        Raises:
            ConfigError: If none or more than one fits.
        """
        known = [one for one in self.components(ExporterSpec) if one.spec.takes == takes]
        name = path.name.lower()
        fits = [one for one in known if name.endswith(one.spec.suffix.lower())]
        longest = max((len(one.spec.suffix) for one in fits), default=0)
        best = [one for one in fits if len(one.spec.suffix) == longest]
        if len(best) == 1:
            return best[0]
        if best:
            raise ConfigError(
                f"{path}: expected one exporter for {best[0].spec.suffix}, got "
                f"{' and '.join(one.name for one in best)}. Remove one with --plugins -NAME."
            )
        endings = sorted({one.spec.suffix for one in known})
        raise ConfigError(
            f"{path}: expected a file that ends in {' or '.join(endings) or 'nothing known'}, got "
            f"{path.suffix.lower() or 'no ending'}. Rename it, or add a plugin that writes it."
        )

    def _can_read(self, reader: Resolved[ReaderSpec], path: Path) -> bool:
        if not reader.spec.needs_path:
            return False
        recognizes = self._import(reader, reader.spec.can_read)
        with isolated(self._active[reader.plugin].source, f"{reader.name}: can_read"):
            return bool(recognizes(path))

    def _import(self, found: Resolved[Any], reference: str) -> Any:
        """Resolve a ``"module:attribute"`` string of an active plugin.

        Raises:
            PluginError: If it cannot be imported or called.
        """
        plugin = self._active[found.plugin]
        assert plugin.module is not None, "an active plugin has been imported"
        built = resolve(plugin.source, plugin.module, reference)
        if not callable(built):
            raise PluginError(
                f"plugin {found.plugin!r} of {found.distribution}: expected {reference!r} to be "
                f"callable, got {built!r}."
            )
        return built


def load_plugins(
    active: Sequence[str],
    *,
    disabled: Collection[str] = (),
    all_available: bool = False,
    strict: bool = True,
    imports: bool = True,
) -> PluginHost:
    """Load the plugins of a run and report on all others.

    Args:
        active: Names of installed plugins and paths of single-file ones (``./rat.py``).
        disabled: Names that the user removed; they are never imported.
        all_available: Import the others too, to list what they offer and whether they work.
        strict: Raise if an active plugin cannot be used. A list of plugins is not strict: it
            shows the state and the reason instead.
        imports: Whether to import anything at all. If not, no plugin is active.

    Raises:
        PluginError: If an active plugin is unknown or, being strict, offered by two
            distributions, broken, incompatible, or contributes nothing.
        ConfigError: If the user's list of disabled plugins cannot be used.
    """
    return PluginHost(
        collect(
            active,
            disabled=disabled,
            all_available=all_available,
            strict=strict,
            imports=imports,
        )
    )


def _no_component(slot: type[Spec], name: str, plugin: Plugin, offered: Sequence[str]) -> str:
    """Message for a component that a plugin lacks, or for a shorthand that is not clear."""
    word = SLOTS[slot]
    component = name.partition(".")[2]
    if component and offered:
        return (
            f"expected {with_article(word)} of plugin {plugin.name!r}, got {component!r}. "
            f"{did_you_mean(component, offered)}"
        )
    if offered:
        full = ", ".join(f"{plugin.name}.{one}" for one in offered)
        return f"expected one {word}, got {name!r}, which offers several. Name one: {full}."
    others = ", ".join(f"{slot_of(spec)} {spec.name}" for spec in plugin.components)
    return (
        f"expected {with_article(word)}, got {name!r}; plugin {plugin.name!r} of "
        f"{plugin.distribution} offers none. It offers: {others or 'observers only'}."
    )
