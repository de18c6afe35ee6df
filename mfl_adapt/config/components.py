"""The sections of components: which there are, and whether their keys are right.

The plugins come in as an argument, so that this room does not import the plugin room.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from mfl_adapt.checks import check_settings
from mfl_adapt.config.layers import Keys, dotted
from mfl_adapt.config.loading import LoadedConfig
from mfl_adapt.config.models import COMPONENT_KEYS, SLOT_WORDS, Component
from mfl_adapt.errors import ConfigError


class ComponentSpec(Protocol):
    """What this room knows of a component's record."""

    @property
    def name(self) -> str:
        """Name of the component within its plugin."""
        ...

    @property
    def config(self) -> type[BaseModel]:
        """Model of its settings."""
        ...


class FoundComponent(Protocol):
    """What this room knows of a component that was looked up."""

    @property
    def name(self) -> str:
        """Full name, ``plugin.component``."""
        ...

    @property
    def spec(self) -> ComponentSpec:
        """Its record."""
        ...


class ComponentHost(Protocol):
    """What this room knows of ``mfl_adapt.plugin.registry.PluginHost``."""

    def lookup(self, slot: str, name: str, *, where: str = "") -> FoundComponent:
        """Find a component by the word for its slot and its name."""
        ...

    def offers(self, plugin: str) -> Sequence[tuple[str, str]]:
        """Return slot word and full name of all components of an active plugin."""
        ...

    def acts_alone(self, plugin: str) -> bool:
        """Tell whether a plugin does something without being chosen for a slot."""
        ...


def validate_components(loaded: LoadedConfig, host: ComponentHost) -> None:
    """Validate every section that belongs to a component by that component's own model.

    Raises:
        ConfigError: If a key is unknown or missing, a value breaks its rule, a loss is named
            twice or never counts, or the path does not suit the reader.
        PluginError: If a component does not exist or its plugin is not active.
    """
    for keys, slot, name, settings in sections(loaded, host):
        _validate(loaded, host, keys, slot, name, settings)
    _check_losses(loaded, host)
    _check_schedules(loaded)
    _check_path(loaded, host)


def sections(
    loaded: LoadedConfig, host: ComponentHost
) -> Iterator[tuple[Keys, str, str, Mapping[str, Any]]]:
    """Yield key path, slot word, component and settings of every section of a component."""
    config = loaded.config
    if config.base:
        yield ("base",), "base", config.base.id, config.base.settings
    if config.views_base:
        yield ("views_base",), "base", config.views_base.id, config.views_base.settings
    single: dict[Keys, Component | None] = {
        ("adapter",): config.adapter,
        ("data", "reader"): config.data.reader,
        ("data", "cameras"): config.data.cameras,
        ("data", "views"): config.data.views,
    }
    for keys, component in single.items():
        if component:
            yield keys, SLOT_WORDS[keys], component.use, component.settings
    for index, step in enumerate(config.data.preprocess):
        yield ("data", "preprocess", index), step_slot(step.use, host), step.use, step.settings
    for name, term in config.losses.items():
        yield ("losses", name), "loss", name, term.settings


def step_slot(name: str, host: ComponentHost) -> str:
    """Word for the slot of a step of ``data.preprocess``: camera normalizers may stand there too.

    So ``facelift_cameras.up_axis`` can come before masks are cleaned, while ``data.cameras`` is
    always the last step.
    """
    normalizer = ("camera normalizer", name)
    return normalizer[0] if normalizer in host.offers(name.partition(".")[0]) else "preprocessor"


def find(
    loaded: LoadedConfig, host: ComponentHost, keys: Keys, slot: str, name: str
) -> FoundComponent:
    """Look up the component of a section, with the section's place for messages."""
    where = loaded.place((*keys, COMPONENT_KEYS.get(keys, "use")))
    return host.lookup(slot, name, where=f"{where}: {_section(keys, name)}")


def _section(keys: Keys, name: str) -> str:
    return dotted(key for key in keys if key != name)


def _validate(
    loaded: LoadedConfig,
    host: ComponentHost,
    keys: Keys,
    slot: str,
    name: str,
    settings: Mapping[str, Any],
) -> None:
    found = find(loaded, host, keys, slot, name)
    check_settings(
        found.spec.config,
        settings,
        f"{_section(keys, name)} ({found.name})",
        lambda inner: loaded.place((*keys, *inner)),
    )


def _check_losses(loaded: LoadedConfig, host: ComponentHost) -> None:
    """Refuse two names for one loss, of which one weight would be lost.

    Raises:
        ConfigError: If there are.
    """
    seen: dict[str, str] = {}
    for name in loaded.config.losses:
        full = host.lookup("loss", name).name
        other = seen.setdefault(full, name)
        if other != name:
            raise ConfigError(
                f"{loaded.place(('losses', name))}: losses: expected each loss once, got "
                f"{other!r} and {name!r}, which are the same. Remove one."
            )


def _check_schedules(loaded: LoadedConfig) -> None:
    """Refuse a term that never counts, and steps at which no term does.

    Raises:
        ConfigError: If there is one.
    """
    terms, steps = loaded.config.losses, loaded.config.train.steps
    spans: list[tuple[int, int]] = []
    for name, term in terms.items():
        start = term.schedule.start if term.schedule else 0
        stop = term.schedule.stop if term.schedule else None
        if start >= steps:
            raise ConfigError(
                f"{loaded.place(('losses', name, 'schedule', 'start'))}: losses.{name}: expected "
                f"schedule.start below train.steps, {steps}, got {start}: the term would never "
                "count. Lower it, or remove the term."
            )
        spans.append((start, steps if stop is None else stop))
    covered = 0
    for start, stop in sorted(spans):
        if start > covered:
            break
        covered = max(covered, stop)
    if spans and covered < steps:
        raise ConfigError(
            f"{loaded.place(('losses',))}: losses: expected a term that counts at every step, got "
            f"none at step {covered} of {steps}. Move a schedule.start or schedule.stop."
        )


def _check_path(loaded: LoadedConfig, host: ComponentHost) -> None:
    """Hold ``data.path`` against what the reader needs.

    Raises:
        ConfigError: If the reader needs a path and has none, or has one and needs none.
    """
    data = loaded.config.data
    if data.reader is None:
        return
    reads_files = needs_path(loaded, host)
    if reads_files and data.path is None:
        raise ConfigError(
            f"{loaded.place(('data', 'reader'))}: expected data.path for {data.reader.use}, got "
            "none. Add --set data.path=FOLDER."
        )
    if not reads_files and data.path is not None:
        raise ConfigError(
            f"{loaded.place(('data', 'path'))}: expected no data.path, as {data.reader.use} makes "
            f"its samples itself, got {str(data.path)!r}. Choose another data.reader."
        )


def needs_path(loaded: LoadedConfig, host: ComponentHost) -> bool:
    """Tell whether the chosen reader reads files."""
    assert loaded.config.data.reader is not None
    where = f"{loaded.place(('data', 'reader', 'use'))}: data.reader"
    found = host.lookup("reader", loaded.config.data.reader.use, where=where)
    return bool(getattr(found.spec, "needs_path", True))
