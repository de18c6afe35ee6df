"""Settings from the environment, from ``--set`` and from dedicated flags."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mfl_adapt.config.layers import Keys, Layer, Origin, layer_of
from mfl_adapt.config.models import COMPONENT_KEYS
from mfl_adapt.config.yaml_file import parse_value
from mfl_adapt.errors import ConfigError, did_you_mean

ENVIRONMENT_PREFIX = "MFL__"


def from_environment(environ: Mapping[str, str]) -> Layer:
    """Read ``MFL__TRAIN__STEPS=100`` as ``train.steps: 100``; names are lower-cased.

    Raises:
        ConfigError: If a name has an empty part, or a value is not valid YAML.
    """
    assignments = []
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        place = f"environment variable {variable}"
        parts = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        value = parse_value(environ[variable], place)
        assignments.append((_keys(parts, value, place), value, Origin("environment", place)))
    return layer_of(assignments)


def from_overrides(overrides: Sequence[str]) -> Layer:
    """Read what followed each ``--set``, such as ``train.steps=100``.

    Raises:
        ConfigError: If one is not ``KEY=VALUE``, or its value is not valid YAML.
    """
    assignments = []
    for text in overrides:
        key, equals, raw = text.partition("=")
        place = f"--set {text}"
        if not equals:
            raise ConfigError(f"{place}: expected KEY=VALUE, got no '='. Write train.steps=100.")
        value = parse_value(raw, place)
        keys = _keys(key.strip().split("."), value, place)
        assignments.append((keys, value, Origin("--set", place)))
    return layer_of(assignments)


def from_flags(flags: Mapping[str, Any]) -> Layer:
    """Read dedicated flags: dotted key to value; None means that the flag was not given.

    Raises:
        ConfigError: If a key has an empty part.
    """
    assignments = []
    for key, value in flags.items():
        if value is not None:
            place = f"flag for {key}"
            keys = _keys(key.split("."), value, place)
            assignments.append((keys, value, Origin("flag", place)))
    return layer_of(assignments)


def split_plugins(entries: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split ``--plugins`` values such as ``a,-b`` into added and removed entries."""
    parts = [part.strip() for entry in entries for part in entry.split(",")]
    added = [part for part in parts if part and not part.startswith("-")]
    removed = [part[1:].strip() for part in parts if part.startswith("-")]
    return list(dict.fromkeys(added)), list(dict.fromkeys(removed))


def apply_plugins(current: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> Layer:
    """Return the layer that ``--plugins`` lays over the list of active plugins.

    Raises:
        ConfigError: If a plugin that should be removed is not in the list.
    """
    for name in removed:
        if name not in current:
            raise ConfigError(
                f"--plugins -{name}: expected an active plugin, got {name!r}. "
                f"{did_you_mean(name, current)}"
            )
    result = [name for name in dict.fromkeys([*current, *added]) if name not in removed]
    place = "--plugins " + ",".join([*added, *(f"-{name}" for name in removed)])
    return layer_of([(("plugins",), result, Origin("--plugins", place))])


def _keys(parts: Sequence[str], value: Any, place: str) -> Keys:
    """Turn the parts of a dotted key into a key path.

    Below ``losses`` the name of a component takes two parts. A plain string for a component is
    short for its name, so that a setting beside it does not replace it.

    Raises:
        ConfigError: If a part is empty, or the key is one that only files may have.
    """
    if not all(parts):
        raise ConfigError(f"{place}: expected a key such as train.steps, got an empty part in it.")
    if parts[0] == "extends":
        raise ConfigError(
            f"{place}: expected 'extends' in a file only. Give the preset as the configuration."
        )
    if tuple(parts) in COMPONENT_KEYS and isinstance(value, str):
        return (*parts, COMPONENT_KEYS[tuple(parts)])
    if parts[0] == "losses" and len(parts) >= 3:
        # losses.rat.weight=1 is the shorthand of a plugin that has a single loss.
        shorthand = len(parts) == 3 and value is not None and not isinstance(value, Mapping)
        shorthand = shorthand or parts[2] == "schedule"  # a key of the core, with keys below it
        if not shorthand:
            return ("losses", ".".join(parts[1:3]), *parts[3:])
    return tuple(parts)
