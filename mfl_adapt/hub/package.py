"""An adapter made ready to be published: verified, described, and free of what is private."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.adapter.schema import CARD, CONFIG, HEADER_KEY, PASSPORT, dump_json
from mfl_adapt.errors import AdapterError
from mfl_adapt.hub.contents import (
    LIMITS,
    WEIGHTS,
    check_sizes,
    is_picture,
)
from mfl_adapt.hub.inherited import Terms, find_terms
from mfl_adapt.hub.pictures import read_pictures
from mfl_adapt.hub.secrets import (
    Leak,
    check_clean,
    private_names,
    redact_json,
    scan_json,
    scan_text,
)

if TYPE_CHECKING:
    from mfl_adapt.adapter import StoredAdapter


@dataclass(frozen=True, slots=True)
class Words:
    """What the publisher says of an adapter.

    Attributes:
        title: Heading of the card.
        species: What it was trained for.
        author: Whom to name.
        data: Where the data come from and who may have them.
        limits: What it must not be used for, or does badly.
        licence: Of the adapter; None keeps what its passport says.
        pictures: PNG and JPEG files; those beside the adapter if empty.
    """

    title: str = ""
    species: str = ""
    author: str = ""
    data: str = ""
    limits: str = ""
    licence: str | None = None
    pictures: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """All that is published of an adapter.

    Attributes:
        files: Contents by name.
        passport: As it is published.
        terms: Licences.
        redacted: Whether paths or names were taken out of the passport.
    """

    files: dict[str, bytes]
    passport: dict[str, Any]
    terms: Terms
    redacted: bool

    @property
    def adapter_hash(self) -> str:
        """Of its tensors."""
        return str(self.passport["adapter_hash"])

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(map(len, self.files.values()))


def build_package(
    folder: Path, words: Words, *, pull: str, redact: bool = False, public: Collection[str] = ()
) -> Package:
    """Verify an adapter folder and write its card.

    Args:
        folder: What ``save`` wrote; it is not changed.
        words: What the publisher says.
        pull: Command that will fetch the adapter, for the card.
        redact: Replace absolute paths in its files by their last part, and leave private names
            out. Its weights, and with them the adapter's hash, stay as they are.
        public: Names that need not be private, such as the owner of a repository.

    Returns:
        What is to be published.

    Raises:
        AdapterError: If the adapter is broken, without an effect on record, without a licence, or
            holds what must not be published.
        DataError: If a picture cannot be used.
    """
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.card import CardNotes, model_card

    where = str(folder)
    names = check_names(folder)
    stored = read_adapter(folder)
    check_effect(stored.passport, where)
    terms = find_terms(stored.passport, words.licence, where)
    private = private_names(public)
    files = {name: (folder / name).read_bytes() for name in names & {*WEIGHTS, CONFIG, PASSPORT}}
    passport, redacted = stored.passport, False
    if redact:
        passport = redact_json(stored.passport, private)
        redacted = passport != stored.passport
        if redacted:
            files |= _with_passport(stored, passport, files)
    pictures = read_pictures(
        words.pictures or sorted(folder / name for name in names if is_picture(name))
    )
    notes = CardNotes(
        title=words.title,
        species=words.species,
        author=words.author,
        data=words.data,
        limits=words.limits,
        licence=terms.own,
        inherited=terms.inherited,
        source=terms.source,
        pictures=tuple(pictures),
        pull=pull,
    )
    files |= pictures | {CARD: model_card(passport, notes).encode()}
    check_clean(_scan(files, passport, private), where)
    check_sizes({name: len(content) for name, content in files.items()}, where)
    return Package(files, passport, terms, redacted)


def check_names(folder: Path) -> set[str]:
    """Return the names of the files of an adapter folder.

    Args:
        folder: What is to be published.

    Raises:
        AdapterError: If there is no such folder, or it holds something else.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise AdapterError(
            f"{folder}: expected an adapter folder, got {error.strerror}. Name the folder that "
            "holds passport.json."
        ) from error
    for entry in sorted(entries):
        known = entry.name in LIMITS or is_picture(entry.name)
        if not known or entry.is_symlink() or not entry.is_file():
            raise AdapterError(
                f"{folder}: expected nothing but an adapter's files ({', '.join(LIMITS)}, "
                f"pictures), got {entry.name}. Move it elsewhere."
            )
    return {entry.name for entry in entries}


def check_effect(passport: Mapping[str, Any], where: str) -> None:
    """Raise unless a passport holds the proof that its adapter does something.

    Raises:
        AdapterError: If there is none, or it says that nothing changes.
    """
    effect = passport["effect"]
    # A base that cannot be probed has no change on record, but the sizes of the updates.
    sizes = [effect["change"]] if effect["change"] is not None else effect["layers"].values()
    if not any(size for size in sizes):
        raise AdapterError(
            f"{where}: expected the proof of an effect in {PASSPORT}, got one that nothing "
            "changes. Train the adapter further."
        )


def _with_passport(
    stored: StoredAdapter, passport: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the files of an adapter with another passport, after reading them as a stranger.

    Raises:
        AdapterError: If they would not be read again.
    """
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.storage import encode_safetensors

    metadata = {"format": "pt", HEADER_KEY: dump_json(passport)}
    changed = {PASSPORT: (dump_json(passport, indent=2) + "\n").encode()}
    for name, tensors in zip(WEIGHTS, (stored.tensors, stored.extra), strict=True):
        if name in files:
            changed[name] = encode_safetensors(tensors, metadata)
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in {**files, **changed}.items():
            (Path(scratch) / name).write_bytes(content)
        again = read_adapter(Path(scratch))
    if again.passport["adapter_hash"] != stored.passport["adapter_hash"]:
        raise AdapterError(
            f"{stored.folder}: expected the hash {stored.passport['adapter_hash']} after "
            f"redaction, got {again.passport['adapter_hash']}. Publish without --redact."
        )
    return changed


def _scan(
    files: Mapping[str, bytes], passport: Mapping[str, Any], names: Collection[str]
) -> list[Leak]:
    """Look through everything that somebody could read."""
    leaks = scan_json(passport, PASSPORT, names)
    leaks += scan_text(files[CARD].decode(), CARD, names)
    if CONFIG in files:
        leaks += scan_json(json.loads(files[CONFIG]), CONFIG, names)
    for name in files.keys() & set(WEIGHTS):
        length = int.from_bytes(files[name][:8], "little")
        header = json.loads(files[name][8 : 8 + length])
        # The passport in it is the one that was looked through.
        metadata = header.pop("__metadata__", {})
        metadata.pop(HEADER_KEY, None)
        leaks += scan_json({**metadata, "tensors": sorted(header)}, f"header of {name}", names)
    for name in files:
        leaks += scan_text(name, "file names", names)
    return leaks
