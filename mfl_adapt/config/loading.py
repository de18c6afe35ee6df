"""Loads a run configuration: files, environment and command line, checked key by key."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfl_adapt.checks import check_settings
from mfl_adapt.config.layers import Keys, Layer, Origin, layer_of, merge
from mfl_adapt.config.models import RunConfig
from mfl_adapt.config.overrides import (
    apply_plugins,
    from_environment,
    from_flags,
    from_overrides,
    split_plugins,
)
from mfl_adapt.config.presets import find_source, is_preset
from mfl_adapt.config.yaml_file import display, read_layer
from mfl_adapt.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_PRESET = "base"


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration with its history.

    Attributes:
        config: The validated configuration; sections of plugins are not validated yet.
        layers: Every source, lowest precedence first.
        merged: All sources as one.
        source: The file or preset that was asked for, for messages.
        named: Plugins that the command line added.
        removed: Plugins that the command line removed.
    """

    config: RunConfig
    layers: tuple[Layer, ...]
    merged: Layer
    source: str
    named: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def raw(self) -> Mapping[str, Any]:
        """What the sources say together, as plain data, without defaults."""
        return self.merged.data

    @property
    def origins(self) -> Mapping[Keys, Origin]:
        """Where each key was set; ``merged.origin`` also knows what ``default`` is."""
        return self.merged.origins

    def place(self, keys: Keys) -> str:
        """Name file and line of a key for a message, or the source where nobody set it."""
        origin = self.merged.locate(keys)
        return origin.place if origin else self.source

    def relayered(self, layers: Sequence[Layer]) -> "LoadedConfig":
        """Return the configuration that other layers give.

        Raises:
            ConfigError: If a key is unknown or missing, or a value breaks its rule.
        """
        merged = merge(layers)
        changed = replace(self, layers=tuple(layers), merged=merged)
        config = check_settings(RunConfig, merged.data, "", changed.place)
        return replace(changed, config=config)


def load_config(
    source: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
) -> LoadedConfig:
    """Load a configuration.

    Precedence, lowest first: defaults, presets, files, environment, ``--set``, flags.

    Args:
        source: Name of a preset, or path of a file; the preset ``base`` if None.
        environ: Environment, of which ``MFL__...`` counts; none of it if None.
        overrides: What followed each ``--set``, such as ``train.steps=100``.
        flags: Dotted key to value; None means that the flag was not given.
        plugins: What followed each ``--plugins``: names or paths to add, ``-name`` to remove.

    Raises:
        ConfigError: If a file cannot be read, a key is unknown or missing, or a value breaks its
            rule; the message names file and line.
    """
    path = find_source(DEFAULT_PRESET if source is None else source)
    layers = [_layer_name(path), *_read_chain(path, ()), from_environment(environ or {})]
    return _complete(layers, display(path), overrides, flags or {}, plugins)


def load_recorded(
    recorded: Mapping[str, Any],
    where: str,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
) -> LoadedConfig:
    """Load the configuration that a passport holds.

    Args:
        recorded: What ``to_plain`` gave when it was written.
        where: The passport, for messages.
        overrides: What followed each ``--set``.
        flags: Dotted key to value; None means that the flag was not given.
        plugins: What followed each ``--plugins``. A file among them stands for the one of the same
            name that was used then.

    Raises:
        ConfigError: If it is not valid, or needs a plugin in a file that ``plugins`` does not name.
    """
    files = {Path(name).stem for name in split_plugins(plugins)[0] if not name.isidentifier()}
    used = recorded.get("plugins")
    if isinstance(used, list):
        # Of a file elsewhere the passport keeps the name, in angle brackets.
        stems = {name: Path(str(name).strip("<>")).stem for name in used}
        used = [name for name in used if str(name).isidentifier() or stems[name] not in files]
        recorded = {**recorded, "plugins": used}
    origin = Origin("file", where)
    layer = layer_of([((key,), value, origin) for key, value in recorded.items()])
    return _complete([layer], where, overrides, flags or {}, plugins)


def _complete(
    layers: Sequence[Layer],
    source: str,
    overrides: Sequence[str],
    flags: Mapping[str, Any],
    plugins: Sequence[str],
) -> LoadedConfig:
    """Lay what the command line says over the rest.

    Raises:
        ConfigError: If the whole is not valid.
    """
    layers = [*layers, from_overrides(overrides), from_flags(flags)]
    added, removed = split_plugins(plugins)
    empty = LoadedConfig(RunConfig(), (), Layer({}, {}), source)
    loaded = replace(empty, named=tuple(added), removed=tuple(removed)).relayered(layers)
    if added or removed:
        layers.append(apply_plugins(loaded.config.plugins, added, removed))
        loaded = loaded.relayered(layers)
    _check_plugins(loaded)
    for note in loaded.merged.notes:
        logger.info("%s", note)
    return loaded


def _check_plugins(loaded: LoadedConfig) -> None:
    """Refuse a file of Python that only a configuration file names.

    Such a file is run. A configuration comes from anybody; what runs is for the user to say.

    Raises:
        ConfigError: If there is one that the command line and the environment do not name.
    """
    for index, entry in enumerate(loaded.config.plugins):
        origin = loaded.merged.locate(("plugins", index))
        from_file = origin is not None and origin.kind in {"file", "preset"}
        if from_file and entry not in loaded.named and not entry.isidentifier():
            raise ConfigError(
                f"{loaded.place(('plugins', index))}: plugins: expected names of installed "
                f"plugins, got {entry!r}. A configuration must not name code to run: give a "
                f"file yourself with --plugins {entry}."
            )


def _layer_name(path: Path) -> Layer:
    """The run is called like its file, unless a key says otherwise."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.")
    return Layer({"name": name or "run"}, {})


def _read_chain(path: Path, above: tuple[Path, ...]) -> list[Layer]:
    """Read a file after the one it extends.

    Raises:
        ConfigError: If the chain comes back to a file, or ``extends`` is not text.
    """
    path = path.resolve()
    if path in above:
        chain = " -> ".join(display(each) for each in (*above[above.index(path) :], path))
        raise ConfigError(f"{display(path)}: expected 'extends' without a cycle, got {chain}.")
    layer = read_layer(path, "preset" if is_preset(path) else "file")
    parent = layer.data.get("extends")
    if parent is None:
        return [_without_extends(layer)]
    place = layer.origins["extends",].place
    if not isinstance(parent, str):
        raise ConfigError(
            f"{place}: extends: expected the name of a preset or a path, got {parent!r}."
        )
    try:
        base = find_source(parent, beside=path.parent)
        if not base.is_file():
            raise ConfigError(f"expected an existing file, got {display(base)}. Check the path.")
    except ConfigError as error:
        raise ConfigError(f"{place}: extends: {error}") from error
    return [*_read_chain(base, (*above, path)), _without_extends(layer)]


def _without_extends(layer: Layer) -> Layer:
    """Take out the key that is used up."""
    data = {key: value for key, value in layer.data.items() if key != "extends"}
    origins = {keys: origin for keys, origin in layer.origins.items() if keys[0] != "extends"}
    return Layer(data, origins)
