"""An adapter's description as short lines, for people.

Only a passport's fixed fields were checked. All others are shown as far as they have the form in
which a run writes them, and nothing in them can move the cursor of a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mfl_adapt.adapter.description import Description, Listed

_KINDS = {
    "mfl_adapt": "adapter with a passport",
    "peft": "peft adapter without a passport: nothing says on which weights it was trained",
    "diffusers": "LoRA of diffusers without a passport: nothing says what it was trained on",
    "kohya": "LoRA with kohya-style keys, without a passport: nothing says what it was trained on",
}


def list_facts(found: Description) -> list[tuple[str, str]]:
    """Return what there is to say about an adapter.

    Args:
        found: What lies in the folder.

    Returns:
        Names and texts, in the order to print them.
    """
    facts = [("adapter", str(found.folder)), ("kind", _KINDS[found.kind])]
    if found.passport:
        facts += _identity(found)
    elif found.settings:
        facts += [("base", str(found.settings.get("base_model_name_or_path") or "not stated"))]
        facts += [("method", _method(found.settings))]
    facts += [("tensors", f"{len(found.tensors)} ({found.formats}), {found.numbers:,} numbers")]
    sizes = ", ".join(f"{name} {size:,}" for name, size in found.files.items())
    facts += [("bytes", f"{sum(found.files.values()):,} ({sizes})")]
    if found.passport:
        facts += [*_evidence(found.passport), *_origin(found.passport)]
    return [(name, _printable(text)) for name, text in facts]


def _identity(found: Description) -> Iterator[tuple[str, str]]:
    passport = found.passport
    base, adapter = passport["base"], passport["adapter"]
    yield "base", base["id"]
    yield "", f"file sha256 {base['sha256']}"
    yield "", f"architecture {base['fingerprint']}"
    own = _get(adapter, "extra", "use")
    method = _method(found.settings) if adapter["method"] is not None else "changes no layer"
    yield "method", f"{method}; own network {own}" if own else method
    yield "parameters", f"{adapter['parameters']:,} on {adapter['layers']} layers"
    yield "hash", passport["adapter_hash"]


def _evidence(passport: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    effect = passport["effect"]
    if effect["relative"] is None:
        yield "effect", "not measured on an output, as the base has no probe"
    else:
        yield "effect", f"changes the output by {effect['relative']:.4g} of its norm"
    sizes = [size for size in effect["layers"].values() if size is not None]
    if sizes:
        zero = sum(size == 0 for size in sizes)
        note = f"; {zero} of {len(sizes)} not changed" if zero else ""
        yield "", f"updates of {min(sizes):.2g} to {max(sizes):.2g} of the weights{note}"
    yield from _metrics(_get(passport, "metrics"))
    yield from _retention(_get(passport, "retention"))


def _metrics(metrics: Any) -> Iterator[tuple[str, str]]:
    scores, name = _get(metrics, "scores"), "metrics"
    if not isinstance(scores, Mapping) or not scores:
        yield "metrics", "none were recorded"
        return
    count, views = _get(metrics, "scenes"), _get(metrics, "views")
    if _is_number(count) and _is_number(views):
        yield name, f"held-out views {views:g}, scenes {count:g}"
        name = ""
    for row in sorted(scores, key=_rank):
        score = scores[row]
        intervals = _get(metrics, "intervals", row)
        parts = [
            f"{_decibel(_get(score, key))}{_interval(_get(intervals, key))} {word}"
            for key, word in (("psnr_db", "PSNR"), ("foreground_psnr_db", "foreground"))
            if _is_number(_get(score, key))
        ]
        yield name, f"{row}: {', '.join(parts) or 'not measured'}"
        name = ""
    gain = _get(metrics, "gain_over_base_foreground_db")
    if _is_number(gain):
        interval = _interval(_get(metrics, "intervals", "gain", "foreground_psnr_db"), signed=True)
        yield "gain", f"{gain:+.2f} dB{interval} foreground over the frozen base"


def _retention(retention: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(retention, Mapping) or not retention:
        yield "retention", "not measured"
        return
    if retention.get("not_measured"):
        yield "retention", f"not measured: {retention['not_measured']}"
        return
    sides = [
        f"{row} {_decibel(_get(retention, row, 'foreground_psnr_db'))}"
        for row in ("frozen base", "adapted")
        if _is_number(_get(retention, row, "foreground_psnr_db"))
    ]
    change = retention.get("change_foreground_db")
    if _is_number(change):
        interval = _interval(retention.get("change_interval_db"), signed=True)
        sides.append(f"{change:+.2f} dB{interval}")
    domain = retention.get("domain", "its own domain")
    yield "retention", f"on {domain}, foreground: {', '.join(sides)}"


def _origin(passport: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    fingerprint = _get(passport, "data", "fingerprint")
    counts = [
        f"{_get(passport, 'data', key)} {word}"
        for key, word in (("train", "to train on"), ("validation", "held out"))
        if _is_number(_get(passport, "data", key))
    ]
    if fingerprint is not None:
        yield "data", f"{fingerprint} ({', '.join(counts) or 'samples not counted'})"
    else:
        yield "data", "not stated"
    run = [f"steps {passport['steps']}"] if "steps" in passport else []
    seed = _get(passport, "seeds", "run")
    run += [] if seed is None else [f"seed {seed}"]
    if passport.get("made_by"):
        run.append(f"by {passport['made_by']}")
    if run:
        yield "made", ", ".join(run)
    for number, source in enumerate(_list(passport.get("sources"))):
        text = f"{_get(source, 'adapter_hash')} with weight {_get(source, 'weight')}"
        yield ("" if number else "sources"), text
    yield "licence", _licence(passport.get("licence"))
    for one in _list(_get(passport, "licence", "inherited")):
        yield "", f"inherited from {_get(one, 'of')}: {_licence(one)}"
    yield "plugins", _plugins(passport)
    for number, text in enumerate(_list(passport.get("forced"))):
        yield ("" if number else "forced"), str(text)


def _method(settings: Mapping[str, Any]) -> str:
    """Name the method in the words of peft, with what decides the size."""
    named = [
        f"{key} {settings[key]}"
        for key in ("r", "lora_alpha", "oft_block_size", "alpha")
        if _is_number(settings.get(key))
    ]
    flags = [key.removeprefix("use_") for key in ("use_dora", "use_rslora") if settings.get(key)]
    return ", ".join([str(settings.get("peft_type") or "of no known method"), *named, *flags])


def _licence(licence: Any) -> str:
    if isinstance(licence, Mapping) and licence.get("name"):
        terms = licence.get("terms")
        return f"{licence.get('name')}: {terms}" if terms else str(licence.get("name"))
    return licence if isinstance(licence, str) and licence else "not stated"


def _plugins(passport: Mapping[str, Any]) -> str:
    """Distributions with their versions and the plugins of each, then torch and peft."""
    suppliers: dict[str, list[str]] = {}
    for name, one in passport.get("plugins", {}).items():
        supplier = f"{_get(one, 'distribution')} {_get(one, 'version') or ''}".rstrip()
        suppliers.setdefault(supplier, []).append(name)
    parts = [f"{supplier} ({', '.join(names)})" for supplier, names in suppliers.items()]
    packages = _get(passport, "environment", "packages")
    if isinstance(packages, Mapping):
        parts += [f"{name} {packages[name]}" for name in ("peft", "torch") if name in packages]
    return "; ".join(parts) or "not stated"


def _get(value: Any, *path: str) -> Any:
    """What lies below some keys; None where one of them is missing."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15


def _decibel(value: Any) -> str:
    return f"{value:.2f} dB"


def _rank(row: str) -> int:
    """From the worst guess to the adapter, as in the table of a run; others come last."""
    known = ("white", "mean colour", "frozen base", "adapted")
    return known.index(row) if row in known else len(known)


def _interval(limits: Any, *, signed: bool = False) -> str:
    if not isinstance(limits, list) or len(limits) != 2 or not all(map(_is_number, limits)):
        return ""
    low, high = (f"{one:+.2f}" if signed else f"{one:.2f}" for one in limits)
    return f" [{low}, {high}]"


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def list_rows(found: Sequence[Listed]) -> list[str]:
    """Return one line per adapter, in columns."""
    rows = [(str(one.folder), one.kind, *_columns(one)) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(5)] if rows else []
    return [
        _printable(
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _columns(one: Listed) -> tuple[str, str, str]:
    if one.reason:
        return one.reason, "", ""
    gain = "" if one.gain_db is None else f"gain {one.gain_db:+.2f} dB"
    return one.base, f"{one.method} {one.numbers:,}".strip(), gain
