"""How plugins named on the command line take the places that a preset had filled."""

import logging
from pathlib import Path

from mfl_adapt.config.components import ComponentHost, find, needs_path, sections
from mfl_adapt.config.layers import Keys, Layer, Origin, dotted, layer_of
from mfl_adapt.config.loading import LoadedConfig
from mfl_adapt.config.models import COMPONENT_KEYS, SLOT_WORDS
from mfl_adapt.errors import ConfigError

logger = logging.getLogger(__name__)


def claim_slots(loaded: LoadedConfig, host: ComponentHost) -> LoadedConfig:
    """Let plugins that the command line names take the slots that only a preset filled.

    A plugin takes a slot if it offers exactly one component for it; a file of the user's own, the
    environment, ``--set`` and flags are stronger. Settings that the user gave stay. In the same
    way a path that the user gave is stronger than a preset's reader that reads no files.

    Raises:
        ConfigError: If two plugins claim one slot, or one that was named would do nothing.
    """
    claims = _claims(loaded, host)
    claimed = _above_presets(loaded, layer_of(claims)) if claims else loaded
    for keys, name, origin in claims:
        logger.info("%s: %s takes this slot, because of %s", dotted(keys[:-1]), name, origin.place)
    claimed = _yield_to_path(claimed, host)
    claimed = _drop_idle(claimed, host)
    for plugin in loaded.named:
        _check_contributes(claimed, host, _stem(plugin))
    return claimed


def _above_presets(loaded: LoadedConfig, layer: Layer) -> LoadedConfig:
    """Lay a layer over the presets and under all that the user wrote."""
    last = max((i for i, one in enumerate(loaded.layers) if one.kind == "preset"), default=0)
    return loaded.relayered([*loaded.layers[: last + 1], layer, *loaded.layers[last + 1 :]])


def _yield_to_path(loaded: LoadedConfig, host: ComponentHost) -> LoadedConfig:
    """Drop a preset's reader that makes its samples itself where the user gave a path."""
    data = loaded.config.data
    path = loaded.merged.origin(("data", "path"))
    by_preset = loaded.merged.origin(("data", "reader", "use")).kind == "preset"
    if data.path is None or data.reader is None or path.kind == "preset" or not by_preset:
        return loaded
    if needs_path(loaded, host):
        return loaded
    logger.debug(
        "data.reader: %s of the preset makes its samples itself, so the other active readers are "
        "asked whether they know %s",
        data.reader.use,
        data.path,
    )
    reset = layer_of([(("data", "reader"), None, path)])
    return _above_presets(loaded, reset)


def _drop_idle(loaded: LoadedConfig, host: ComponentHost) -> LoadedConfig:
    """Drop a preset's settings that would do nothing beside what the user chose.

    So ``--set adapter.method=oft`` needs no word on the rank that the preset gave to LoRA. What
    the user wrote stays, and is refused.
    """
    idle: list[tuple[Keys, None, Origin]] = []
    for keys, slot, name, settings in sections(loaded, host):
        model = find(loaded, host, keys, slot, name).spec.config
        # A plugin's model need not come from ComponentConfig.
        idle_settings = getattr(model, "idle_settings", lambda _: ())
        paths = [(*keys, key) for key in idle_settings(settings)]
        given = {path: loaded.merged.origin(path) for path in paths}
        dropped = [path for path, origin in given.items() if origin.kind == "preset"]
        if dropped:
            logger.info(
                "%s: %s of the preset dropped, as the method that was chosen has no such setting",
                dotted(keys),
                ", ".join(str(path[-1]) for path in dropped),
            )
        idle += [(path, None, given[path]) for path in dropped]
    return _above_presets(loaded, layer_of(idle)) if idle else loaded


def _stem(plugin: str) -> str:
    """Name of a plugin that may be given as a path."""
    return Path(plugin).stem if plugin.endswith(".py") else plugin


def _claims(loaded: LoadedConfig, host: ComponentHost) -> list[tuple[Keys, str, Origin]]:
    """Return key path, component and origin of every slot that a named plugin takes.

    Raises:
        ConfigError: If two plugins claim one slot.
    """
    chosen = {keys: name for keys, _, name, _ in sections(loaded, host)}
    claims = []
    for keys, slot in SLOT_WORDS.items():
        path = (*keys, COMPONENT_KEYS[keys])
        if loaded.merged.origin(path).kind not in {"preset", "default"}:
            continue
        claiming = {}
        for plugin in loaded.named:
            offered = [name for word, name in host.offers(_stem(plugin)) if word == slot]
            if len(offered) == 1:
                claiming[offered[0]] = Origin("--plugins", f"--plugins {plugin}")
        if len(claiming) > 1:
            raise ConfigError(
                f"--plugins: expected one plugin for {dotted(keys)}, got "
                f"{' and '.join(claiming)}. Add --set {dotted(keys)}={next(iter(claiming))}."
            )
        # A preset's component of the same plugin stays, together with the preset's settings.
        owner = chosen.get(keys, "").partition(".")[0]
        claims += [(path, n, o) for n, o in claiming.items() if n.partition(".")[0] != owner]
    return claims


def _check_contributes(loaded: LoadedConfig, host: ComponentHost, plugin: str) -> None:
    """Refuse a plugin that the user named and that this run would not use.

    Raises:
        ConfigError: If no section names one of its components and it does nothing by itself.
    """
    used = {name.partition(".")[0] for _, _, name, _ in sections(loaded, host)}
    offers = host.offers(plugin)
    losses = [(slot, name) for slot, name in offers if slot == "loss"]
    if plugin in used or (host.acts_alone(plugin) and not losses):
        return
    slot, name = (losses or offers)[0]
    remedies = {
        "loss": f"--set losses.{name}.weight=1",
        "preprocessor": f"--set 'data.preprocess=[{{use: {name}}}]'",
    }
    remedies |= {word: f"--set {dotted(keys)}={name}" for keys, word in SLOT_WORDS.items()}
    if loaded.merged.origin(("base", "id")).kind == "flag":
        # It is stronger than --set, and a command that has it may take a base for views too.
        remedies["base"] = f"--views-base {name} if it makes views, or else name it with --base"
    raise ConfigError(
        f"--plugins {plugin}: expected a plugin that this run uses, got one whose {slot} {name} "
        f"is used nowhere. Add {remedies[slot]}."
    )
