"""One source of settings, and how a later one is laid over an earlier one.

Precedence, lowest first: defaults, presets, files, environment, ``--set``, flags. Mappings are
overlaid key by key, lists are replaced whole, and null resets a key to its default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mfl_adapt.config.models import COMPONENT_KEYS

Keys = tuple[str | int, ...]
Kind = Literal["default", "preset", "file", "environment", "--set", "flag", "--plugins"]


def dotted(keys: Iterable[str | int]) -> str:
    """Write a key path as the user types it."""
    return ".".join(str(key) for key in keys)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        kind: Sort of source.
        place: File and line, or the setting as the user typed it.
        resets: True where a null took the value back to its default.
    """

    kind: Kind
    place: str
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """Plain data, with the origin of every key and list item.

    Attributes:
        data: Nested mappings, lists and scalars.
        origins: By key path.
        notes: What the user should hear about how the layers were laid over one another.
    """

    data: Mapping[str, Any]
    origins: Mapping[Keys, Origin]
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Sort of source of the whole layer; a layer never mixes two."""
        return next((origin.kind for origin in self.origins.values()), "default")

    def locate(self, keys: Keys) -> Origin | None:
        """Return the origin of a key path, or of the nearest section around it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.origins:
                return self.origins[keys[:length]]
        return None

    def origin(self, keys: Keys) -> Origin:
        """Return where the value at a key path came from; ``default`` if nobody set it."""
        if keys in self.origins:
            return self.origins[keys]
        for length in range(len(keys) - 1, 0, -1):
            found = self.origins.get(keys[:length])
            if found is not None and found.resets:
                return found
        return Origin("default", "default")


def layer_of(assignments: Iterable[tuple[Keys, Any, Origin]]) -> Layer:
    """Make a layer of single assignments; a later one wins."""
    data: dict[str, Any] = {}
    origins: dict[Keys, Origin] = {}
    for keys, value, origin in assignments:
        section: Any = data
        for depth, key in enumerate(keys[:-1]):
            if not isinstance(section.get(key), dict):
                section[key] = {}
            origins[keys[: depth + 1]] = origin
            section = section[key]
        section[keys[-1]] = value
        origins[keys] = origin
    return normalize(Layer(data, origins))


def normalize(layer: Layer) -> Layer:
    """Write every component in its long form: ``reader: x`` becomes ``reader: {use: x}``."""
    origins = dict(layer.origins)

    def visit(value: Any, keys: Keys) -> Any:
        name = COMPONENT_KEYS.get(keys)
        if keys[:2] == ("data", "preprocess") and len(keys) == 3:
            name = "use"
        if name and isinstance(value, str):
            if keys in origins:
                origins[(*keys, name)] = origins[keys]
            return {name: value}
        if isinstance(value, Mapping):
            return {key: visit(each, (*keys, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [visit(each, (*keys, index)) for index, each in enumerate(value)]
        return value

    return Layer(visit(layer.data, ()), origins)


def merge(layers: Iterable[Layer]) -> Layer:
    """Lay each layer over the ones before it."""
    merged = Layer({}, {})
    for layer in layers:
        merged = overlay(merged, layer)
    return merged


def overlay(low: Layer, high: Layer) -> Layer:
    """Lay one layer over another.

    Where the two name different components, the lower section's other keys are dropped: they
    belonged to the component that is no longer used.
    """
    origins: dict[Keys, Origin] = {}
    notes = list(low.notes)
    data = _overlay_section(low.data, high.data, (), low, high, origins, notes)
    return Layer(data, origins, tuple(notes))


def _overlay_section(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    keys: Keys,
    low: Layer,
    high: Layer,
    origins: dict[Keys, Origin],
    notes: list[str],
) -> dict[str, Any]:
    """Overlay two mappings and note the origin of what comes out."""
    below = _without_replaced(below, above, keys, high, notes)
    result: dict[str, Any] = {}
    for key in dict.fromkeys([*below, *above]):
        path = (*keys, key)
        value, source = (above[key], high) if key in above else (below[key], low)
        origin = source.origins.get(path)
        if value is None:
            if origin:
                origins[path] = Origin(origin.kind, origin.place, resets=True)
            continue
        if origin:
            origins[path] = origin
        if isinstance(value, Mapping):
            lower = below.get(key) if source is high else value
            upper = value if source is high else {}
            lower = lower if isinstance(lower, Mapping) else {}
            result[key] = _overlay_section(lower, upper, path, low, high, origins, notes)
        else:
            result[key] = value
            origins.update({k: o for k, o in source.origins.items() if k[: len(path)] == path})
    _keep_resets(keys, low, above, origins)
    return result


def _keep_resets(
    keys: Keys, low: Layer, above: Mapping[str, Any], origins: dict[Keys, Origin]
) -> None:
    """A key that a lower layer reset has no value any more, but its origin still counts."""
    for path, origin in low.origins.items():
        inside = len(path) == len(keys) + 1 and path[: len(keys)] == keys
        if inside and origin.resets and path[-1] not in above:
            origins[path] = origin


def _without_replaced(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    keys: Keys,
    high: Layer,
    notes: list[str],
) -> Mapping[str, Any]:
    """Drop the settings of a component that the upper layer replaces by another one.

    That one preset replaces a component of another is no news to the user.
    """
    name = COMPONENT_KEYS.get(keys)
    if name is None or name not in above or below.get(name) in (None, above[name]):
        return below
    dropped = sorted(set(below) - {name} - set(above))
    if dropped and high.kind != "preset":
        notes.append(
            f"{dotted(keys)}: {above[name]} replaces {below[name]}, whose settings are dropped: "
            f"{', '.join(dropped)}"
        )
    return {}
