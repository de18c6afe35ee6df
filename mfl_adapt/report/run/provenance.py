"""Where a run and its adapter come from: passport, effect, plugins, settings and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mfl_adapt.report.run.markup import Html, count, el, facts, join, number, show, table, to_number
from mfl_adapt.report.run.record import RunRecord, Setting, items, section


def adapter(record: RunRecord) -> Html:
    """Show what the passport of the adapter says."""
    passport = record.passport
    if passport is None:
        return el("p", "The run folder holds no adapter.", class_="note")
    base, described = section(passport, "base"), section(passport, "adapter")
    licence, effect = section(passport, "licence"), section(passport, "effect")
    known = facts([
        ("Adapter hash", el("code", show(passport.get("adapter_hash")))),
        ("Method", described.get("method") or "a network of its own"),
        ("Weights", _size(described)),
        ("Base", base.get("id")),
        ("Base file (SHA-256)", el("code", show(base.get("sha256")))),
        ("Architecture", el("code", show(base.get("fingerprint")))),
        ("Dataset fingerprint", _code(section(passport, "data").get("fingerprint"))),
        ("Steps", show(passport.get("steps")) if "steps" in passport else None),
        ("Licence", show(licence.get("name")) if licence.get("name") else "not stated"),
        ("Inherited licence", [_inherited(one) for one in items(licence, "inherited")]),
        ("Change of the probe's output", _relative(effect)),
        ("Forced", [el("p", show(one)) for one in _texts(passport.get("forced"))]),
    ])
    return join([known, _effect(section(effect, "layers")), _plugins(section(passport, "plugins"))])


def _size(described: Mapping[str, Any]) -> str | None:
    weights, layers = (to_number(described.get(key)) for key in ("parameters", "layers"))
    return None if weights is None or layers is None else f"{weights:,.0f} in {layers:,.0f} layers"


def _code(value: Any) -> Html | None:
    return el("code", show(value)) if value else None


def _inherited(one: Mapping[str, Any]) -> Html:
    words = f"{show(one.get('name'))} of {show(one.get('of'))}"
    return el("p", f"{words}: {show(one['terms'])}" if one.get("terms") else words)


def _relative(effect: Mapping[str, Any]) -> str | None:
    relative = to_number(effect.get("relative"))
    return None if relative is None else f"{relative:.3g} of its size"


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _effect(layers: Mapping[str, Any]) -> Html | None:
    if not layers:
        return None
    rows = [[name, number(size, ".4f")] for name, size in layers.items()]
    silent = sum(1 for size in layers.values() if size == 0)
    note = f", {silent} of them unchanged" if silent else ""
    grid = table(["layer", "update beside weight"], rows, caption="Effect by layer", numbers=(1,))
    summary = el("summary", f"Effect on {count(len(layers), 'layer')}{note}")
    return el("details", summary, grid)


def _plugins(plugins: Mapping[str, Any]) -> Html | None:
    if not plugins:
        return None
    rows = [
        [name, *(show(section(plugins, name).get(key)) for key in ("distribution", "version"))]
        for name in plugins
    ]
    grid = table(["plugin", "distribution", "version"], rows, caption="Plugins that were active")
    return el("details", el("summary", f"{count(len(plugins), 'plugin')}"), grid)


def settings(record: RunRecord) -> Html:
    """Show the resolved configuration: what somebody chose, and the defaults folded away."""
    chosen = [one for one in record.settings if one.kind != "default"]
    rest = [one for one in record.settings if one.kind == "default"]
    return join([
        _settings_table(chosen, "Settings that are no defaults") if chosen else None,
        el(
            "details",
            el("summary", f"{count(len(rest), 'setting')} at the default"),
            _settings_table(rest, "Settings at their defaults", origin=False),
        ),
    ])


def _settings_table(rows: list[Setting], caption: str, *, origin: bool = True) -> Html:
    cells = [
        [one.key, el("code", _value(one.value)), *([_origin(one)] if origin else [])]
        for one in rows
    ]
    return table(["key", "value", *(["origin"] if origin else [])], cells, caption=caption)


def _value(value: Any) -> str:
    return show(json.dumps(value, ensure_ascii=False))


def _origin(one: Setting) -> str:
    # A path of the machine of the run is left as a name in angle brackets.
    place = one.place.removeprefix("<").removesuffix(">")
    return place if place.startswith(one.kind) else f"{one.kind} {place}".rstrip()


def environment(record: RunRecord) -> Html:
    """Show the machine and the versions of a run."""
    found = record.environment
    if found is None:
        return el("p", "The run folder holds no environment.json.", class_="note")
    rows = [(name, show(value)) for name, value in found.items() if not isinstance(value, Mapping)]
    packages = [[name, show(value)] for name, value in section(found, "packages").items()]
    grid = table(["package", "version"], packages, caption="Packages") if packages else None
    return join([facts(rows), el("details", el("summary", "Packages"), grid) if grid else None])
