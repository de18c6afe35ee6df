"""The model card of an adapter: what its passport can prove, and what its author says.

No number stands in a card that the passport does not hold. ``save`` writes the card of the
passport alone; who publishes the adapter adds words, licences and pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mfl_adapt.adapter.card_scores import describe_metrics, describe_retention
from mfl_adapt.adapter.markdown import code, plain, section, table

KNOWN_LICENCES = frozenset({
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "unlicense", "cc0-1.0"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    *("gpl-3.0", "lgpl-3.0", "agpl-3.0"),
})
"""Licences that model hubs know by these words; any other is ``other`` with its name."""


@dataclass(frozen=True, slots=True)
class CardLicence:
    """One licence on a card.

    Attributes:
        name: As its author calls it.
        terms: What it allows, in one sentence; may be empty.
        of: Whose it is (``facelift.gslrm``); empty for the adapter's own.
    """

    name: str
    terms: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class CardNotes:
    """What a passport does not know.

    Attributes:
        title: Heading; names the base if empty.
        species: What it was trained for.
        author: Whom to name.
        data: Where the data come from and who may have them.
        limits: What it must not be used for, or does badly.
        licence: Of the adapter; the passport's if None.
        inherited: Licences that come with its base; those of the passport if empty.
        source: Where the base is published, and its revision.
        pictures: File names beside the card.
        pull: Command that fetches the adapter.
    """

    title: str = ""
    species: str = ""
    author: str = ""
    data: str = ""
    limits: str = ""
    licence: CardLicence | None = None
    inherited: tuple[CardLicence, ...] = ()
    source: str = ""
    pictures: tuple[str, ...] = ()
    pull: str = ""


def model_card(passport: Mapping[str, Any], notes: CardNotes | None = None) -> str:
    """Return ``README.md`` for an adapter folder.

    Args:
        passport: The adapter's passport.
        notes: What its publisher adds.

    Returns:
        Markdown with the front matter that model hubs read.
    """
    notes = notes or CardNotes()
    own, inherited = licences_of(passport)
    own, inherited = notes.licence or own, notes.inherited or inherited
    title = plain(notes.title) or f"Adapter for {plain(passport['base']['id'])}"
    parts = [
        _front_matter(notes, own, inherited),
        f"# {title}",
        "Made with mfl_adapt. It holds no weights of the base and is of no use without it.",
        *(f"![{plain(name)}]({name})" for name in notes.pictures),
        table(_facts(passport, notes)),
        f"## Data\n\n{_data(passport, notes)}",
        f"## Metrics\n\n{describe_metrics(passport)}",
        f"## Base's own domain\n\n{describe_retention(passport)}",
        f"## Limits\n\n{_limits(passport, notes)}",
        f"## Licence\n\n{_licences(own, inherited)}",
        f"## Use\n\n{_use(passport, notes)}",
    ]
    return "\n\n".join(parts) + "\n"


def licences_of(
    passport: Mapping[str, Any],
) -> tuple[CardLicence | None, tuple[CardLicence, ...]]:
    """Return the adapter's own licence and the inherited ones, as far as a passport says."""
    said = passport.get("licence") or {}
    if isinstance(said, str):
        return CardLicence(said), ()
    if not isinstance(said, Mapping):
        return None, ()
    name = said.get("name")
    listed = said.get("inherited")
    inherited = tuple(
        CardLicence(str(one["name"]), str(one.get("terms") or ""), str(one.get("of") or ""))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, Mapping) and one.get("name")
    )
    own = CardLicence(str(name), str(said.get("terms") or "")) if name else None
    return own, inherited


def licence_word(name: str) -> str | None:
    """Return the word by which model hubs know a licence, or None."""
    word = re.sub(r"[\s_]+", "-", name.strip().lower())
    return word if word in KNOWN_LICENCES else None


def _front_matter(
    notes: CardNotes, own: CardLicence | None, inherited: tuple[CardLicence, ...]
) -> str:
    """What hubs show and search. A licence they do not know by a word binds before the own one."""
    tags = ["mfl_adapt", "gaussian-splatting", *([notes.species] if notes.species else [])]
    lines = ["---", "library_name: peft"]
    if notes.source:
        lines.append(f"base_model: {_yaml(notes.source.partition('@')[0])}")
    unknown = [one for one in inherited if licence_word(one.name) is None]
    binding = unknown[0] if unknown else own or (inherited[0] if inherited else None)
    if binding is not None:
        word = licence_word(binding.name)
        lines.append(f"license: {word or 'other'}")
        if word is None:
            name = re.sub(r"[^a-z0-9.]+", "-", binding.name.lower()).strip("-.") or "stated-below"
            lines.append(f"license_name: {name}")
    lines += ["tags:", *(f"- {_yaml(tag)}" for tag in tags), "---"]
    return "\n".join(lines)


def _facts(passport: Mapping[str, Any], notes: CardNotes) -> dict[str, str]:
    base, adapter = passport["base"], passport["adapter"]
    extra = adapter.get("extra")
    facts = {
        "species": plain(notes.species),
        "author": plain(notes.author),
        "base": code(base.get("id")),
        "base published as": code(notes.source),
        "base file, SHA-256": code(base.get("sha256")),
        "base architecture": code(base.get("fingerprint")),
        "method": plain(adapter.get("method") or "none of peft's"),
        "rank": _rank(passport),
        "target layers": _targets(passport),
        "adapted layers": plain(adapter.get("layers")),
        "own network": code(extra.get("use")) if isinstance(extra, Mapping) else "",
        "parameters": plain(adapter.get("parameters")),
        "steps": plain(passport.get("steps")),
        "adapter hash": code(passport["adapter_hash"]),
        "made by": code(_maker(passport)),
        "made from": ", ".join(
            code(one.get("adapter_hash")) for one in _list(passport.get("sources"))
        ),
        "forced": "; ".join(plain(text) for text in passport.get("forced") or ()),
    }
    return {name: text for name, text in facts.items() if text}


def _maker(passport: Mapping[str, Any]) -> str:
    """The command that made the adapter."""
    return str(passport.get("made_by") or ("mfl-adapt train" if passport.get("config") else ""))


def _rank(passport: Mapping[str, Any]) -> str:
    return plain(section(passport.get("config"), "adapter").get("r"))


def _targets(passport: Mapping[str, Any]) -> str:
    targets = section(passport.get("config"), "adapter").get("targets")
    listed = targets if isinstance(targets, list) else [targets] if targets else []
    return ", ".join(code(one) for one in listed)


def _data(passport: Mapping[str, Any], notes: CardNotes) -> str:
    said = [plain(notes.data) or "The author made no statement about the data."]
    data = section(passport, "data")
    rows = {
        "samples": plain(data.get("samples")),
        "trained on": plain(data.get("train")),
        "held out": plain(data.get("validation")),
        "fingerprint": code(data.get("fingerprint")),
        "reader": code(_reader(passport)),
    }
    rows = {name: text for name, text in rows.items() if text}
    return "\n\n".join([*said, *([table(rows)] if rows else [])])


def _reader(passport: Mapping[str, Any]) -> Any:
    reader = section(passport.get("config"), "data").get("reader")
    return reader.get("use") if isinstance(reader, Mapping) else reader


def _limits(passport: Mapping[str, Any], notes: CardNotes) -> str:
    base = code(passport["base"].get("id"))
    return " ".join([
        plain(notes.limits) or "The author stated no limits of use.",
        f"It fits {base} with the hash above and no other base; the metrics hold for data like "
        "those it was trained on.",
    ])


def _licences(own: CardLicence | None, inherited: tuple[CardLicence, ...]) -> str:
    """All licences that bind who uses the adapter."""
    lines = [
        f"Adapter: {_licence(own)}."
        if own
        else "Not stated for the adapter; that of the base applies to what it is used with."
    ]
    for one in inherited:
        of = code(one.of) if one.of else "its base"
        lines.append(f"Inherited from {of}: {_licence(one)}. It binds this adapter too.")
    return "\n\n".join(lines)


def _licence(one: CardLicence) -> str:
    terms = plain(one.terms).rstrip(".")
    return f"{plain(one.name)} ({terms})" if terms else plain(one.name)


def _use(passport: Mapping[str, Any], notes: CardNotes) -> str:
    base, method = passport["base"]["id"], passport["adapter"].get("method")
    stock = _STOCK_PART if "extra" in passport["adapter"] else _STOCK
    fetch = f"```console\n{notes.pull}\n```\n\n" if notes.pull else ""
    code = _USE.format(base=json.dumps(base), stock=stock if method else _NO_STOCK)
    return fetch + code


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _yaml(text: str) -> str:
    """A text in double quotes, which YAML reads like JSON."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


_USE = """\
```python
import mfl_adapt as mfl

base = mfl.load_base({base})
adapter = mfl.load_adapter(base, "path/to/this/folder")
```

Loading compares base and weights with `passport.json` and refuses what does not match. {stock}"""

_STOCK = """The folder
is also a plain peft adapter: `PeftModel.from_pretrained(network, folder)` loads it unchecked."""
_STOCK_PART = """Part of
it is a plain peft adapter: `PeftModel.from_pretrained(network, folder)` loads the changed layers
unchecked, and leaves out the network in `extra_model.safetensors`."""
_NO_STOCK = """It
changes no layer, so that there is nothing in it for peft."""
