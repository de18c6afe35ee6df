"""Publish an adapter: into a repository of a model hub, or into a folder with an index."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfl_adapt.adapter.schema import PASSPORT, read_json
from mfl_adapt.errors import ConfigError, HubError
from mfl_adapt.hub.answers import find_endpoint
from mfl_adapt.hub.contents import LIMITS, facts_of, is_picture
from mfl_adapt.hub.lock import alone
from mfl_adapt.hub.package import Package, Words, build_package, check_names
from mfl_adapt.hub.places import is_hub, read_hub_place
from mfl_adapt.hub.registry import (
    INDEX,
    LOCK,
    Entry,
    IndexedFile,
    Registry,
    check_name,
    read_registry,
    write_registry,
)
from mfl_adapt.hub.upload import upload

_SHORT_HASH = 12


@dataclass(frozen=True, slots=True)
class Publication:
    """An adapter that was published.

    Attributes:
        place: Address of the repository, or folder.
        name: Under which it is fetched.
        revision: Commit of a hub, or revision of a registry.
        adapter_hash: Of its tensors.
        licence: Names of all licences that the card carries, the adapter's own first.
        size: Of all files, in bytes.
        files: Names.
        redacted: Whether paths or names were taken out of its passport.
        pull: Command that fetches it.
    """

    place: str
    name: str
    revision: str
    adapter_hash: str
    licence: list[str]
    size: int
    files: list[str]
    redacted: bool
    pull: str


@dataclass(frozen=True, slots=True)
class Choices:
    """How an adapter is published.

    Attributes:
        name: In a folder; the name of its run if None.
        revision: Branch of a hub; or what a folder calls this state, the beginning of the
            adapter's hash if None.
        private: Make a new repository of a hub private.
        redact: Take absolute paths and private names out of the passport.
        replace: Allow another adapter of the same name to be replaced.
        flat: In a folder, leave out the folder of the revision, for what lies in version control.
    """

    name: str | None = None
    revision: str | None = None
    private: bool = False
    redact: bool = False
    replace: bool = False
    flat: bool = False


def publish_adapter(
    folder: Path, to: str, words: Words | None = None, choices: Choices | None = None
) -> Publication:
    """Verify an adapter, write its model card, and publish it whole or not at all.

    Args:
        folder: Adapter folder; it is not changed.
        to: ``hub:OWNER/NAME``, or a folder, which is made where missing.
        words: What its publisher says.
        choices: How it is published.

    Raises:
        AdapterError: If it is broken, has no effect or licence, or holds what must stay private.
        ConfigError: If place or name cannot be used.
        DataError: If a picture cannot be used.
        HubError: If the hub refuses, or another adapter is in its place.
        StorageError: If files cannot be written.
    """
    words, choices = words or Words(), choices or Choices()
    check_names(folder)
    put = _to_hub if is_hub(to) else _to_folder
    return put(folder, to, words, choices)


def _to_hub(folder: Path, to: str, words: Words, choices: Choices) -> Publication:
    """Publish on a hub.

    Raises:
        ConfigError: If an option belongs to folders.
    """
    place = read_hub_place(to)
    if choices.name is not None or choices.flat:
        raise ConfigError(
            f"{to}: expected no --name and no --flat, which belong to a folder, got one. Leave it "
            "out."
        )
    place = replace(place, revision=choices.revision or place.revision)
    # The endpoint is looked at first, so that a bad one costs no time.
    address = f"{find_endpoint()}/{place.repository}"
    command = f"mfl-adapt adapter pull {place} -o {place.name}"
    package = build_package(
        folder, words, pull=command, redact=choices.redact, public=(place.owner, place.name)
    )
    commit = upload(
        package.files,
        place,
        adapter_hash=package.adapter_hash,
        private=choices.private,
        replace=choices.replace,
    )
    return _publication(package, address, place.repository, commit, command)


def _to_folder(folder: Path, to: str, words: Words, choices: Choices) -> Publication:
    """Publish in a folder.

    Raises:
        ConfigError: If an option belongs to hubs, or there is no name.
    """
    if choices.private:
        raise ConfigError(
            f"{to}: expected no --private, which belongs to a hub, got it. Set the permissions of "
            "the folder instead."
        )
    root = Path(to)
    name = check_name(choices.name or _name_of(folder), "--name")
    command = f"mfl-adapt adapter pull {name} --from REGISTRY -o {name}"
    package = build_package(folder, words, pull=command, redact=choices.redact)
    revision = check_name(choices.revision or package.adapter_hash[:_SHORT_HASH], "--revision")
    entry = _entry(package, words, name, revision, flat=choices.flat)
    with alone(root / LOCK):
        _add(root, name, entry, package.files, replace=choices.replace)
    command = command.replace("REGISTRY", to)
    return _publication(package, str(root / entry.folder), name, revision, command)


def _add(root: Path, name: str, entry: Entry, files: Mapping[str, bytes], *, replace: bool) -> None:
    """Write an adapter and then the index that names it; the lock is held.

    Raises:
        HubError: If another adapter of that name is there.
        StorageError: If files cannot be written; the index names what it named before.
    """
    from mfl_adapt.adapter.storage import write_folder

    known = read_registry(root) if (root / INDEX).exists() else Registry()
    old = known.adapters.get(name)
    if old == entry and _is_whole(root / entry.folder, entry):
        return
    where = f"{root / INDEX}: {name}"
    if old is not None and not replace and old != entry:
        raise HubError(
            f"{where}: expected a new name, got that of an adapter that is published there "
            f"(revision {old.revision}). Choose another --name, or add --replace."
        )
    if old is not None and (old.folder == name) != (entry.folder == name):
        wish = "with" if old.folder == name else "without"
        raise HubError(
            f"{where}: expected to keep the folder {old.folder}, got {entry.folder}. "
            f"Publish {wish} --flat, or under another --name."
        )
    stale = set(old.files) if old is not None else set()
    # What no index names is left from a writer that died, and may go.
    write_folder(root / entry.folder, files, replaces=stale | set(_leftovers(root / entry.folder)))
    write_registry(root, Registry(adapters={**known.adapters, name: entry}))
    if old is not None and old.folder != entry.folder:
        shutil.rmtree(root / old.folder, ignore_errors=True)


def _leftovers(folder: Path) -> list[str]:
    """Names of an adapter's files that lie in a folder; others make writing there fail."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return [name for name in names if name in LIMITS or is_picture(name)]


def _is_whole(folder: Path, entry: Entry) -> bool:
    """Tell whether an adapter of a registry is there as its entry says."""
    try:
        present = {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return False
    return facts_of(present) == entry.facts()


def _entry(package: Package, words: Words, name: str, revision: str, *, flat: bool) -> Entry:
    facts, terms = facts_of(package.files), package.terms
    return Entry(
        folder=name if flat else f"{name}/{revision}",
        revision=revision,
        adapter_hash=package.adapter_hash,
        base=package.passport["base"]["id"],
        base_sha256=package.passport["base"]["sha256"],
        licence=terms.names()[0],
        inherited=tuple(dict.fromkeys(one.name for one in terms.inherited)),
        size=package.size,
        files={file: IndexedFile(size=one.size, sha256=one.sha256) for file, one in facts.items()},
        title=words.title,
        species=words.species,
    )


def _publication(
    package: Package, place: str, name: str, revision: str, command: str
) -> Publication:
    return Publication(
        place=place,
        name=name,
        revision=revision,
        adapter_hash=package.adapter_hash,
        licence=package.terms.names(),
        size=package.size,
        files=sorted(package.files),
        redacted=package.redacted,
        pull=command,
    )


def _name_of(folder: Path) -> str:
    """Name of the run that an adapter comes from.

    Raises:
        ConfigError: If it says none.
    """
    config: Any = read_json(folder / PASSPORT)
    config = config.get("config") if isinstance(config, dict) else None
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{folder}: expected --name, as the passport names no run, got none.")
    return name
