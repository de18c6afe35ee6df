"""Fetch an adapter from a hub, a registry or a folder, and verify it before it is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.errors import AdapterError, ConfigError, HubError, StorageError
from mfl_adapt.files import write_through
from mfl_adapt.hub.cached import fetch_adapter
from mfl_adapt.hub.contents import FileFacts, check_sizes
from mfl_adapt.hub.places import is_hub, read_hub_place
from mfl_adapt.hub.registry import Entry, find_entry


@dataclass(frozen=True, slots=True)
class Pulled:
    """An adapter that was fetched and verified.

    Attributes:
        folder: Where it lies now.
        source: Where it came from.
        revision: Commit of a hub, or revision of a registry; empty for a plain folder.
        adapter_hash: Of its tensors.
        base: Name of the base that it fits.
        licence: As its passport says, or its registry; empty if neither does.
        files: Size and hash by name.
    """

    folder: Path
    source: str
    revision: str
    adapter_hash: str
    base: str
    licence: str
    files: dict[str, FileFacts]


def pull_adapter(
    source: str, out: Path, *, registry: Path | None = None, offline: bool = False
) -> Pulled:
    """Fetch an adapter into a folder.

    It is copied into a hidden folder beside ``out``, read and verified there, and takes its place
    only then. What is there already and is the same stays.

    Args:
        source: ``hub:OWNER/NAME[@REVISION]``; a name, with ``registry``; or an adapter folder.
        out: Folder to make.
        registry: Folder with a ``registry.toml``.
        offline: Use no network: take what was pulled before.

    Raises:
        HubError: If the source refuses, breaks off, or is not what it says.
        AdapterError: If it is no whole adapter with an effect.
        StorageError: If it cannot be written, or something else is in its place.
        ConfigError: If the source cannot be understood.
    """
    found = _find(source, registry, offline=offline)
    if out.exists() and _same(out, found.files):
        passport = _verify(out, found, str(out))
    else:
        passport = _place(found, out)
    return Pulled(
        folder=out,
        source=found.where,
        revision=found.revision,
        adapter_hash=passport["adapter_hash"],
        base=_printable(passport["base"]["id"]),
        licence=_printable(_licences(passport, found.entry)),
        files=found.files,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Where an adapter's files lie on this machine, and what they must be."""

    where: str
    folder: Path
    files: dict[str, FileFacts]
    revision: str = ""
    entry: Entry | None = None


def _find(source: str, registry: Path | None, *, offline: bool) -> _Found:
    """Look a source up, and download it if need be.

    Raises:
        ConfigError: If it cannot be understood.
    """
    if registry is not None:
        if is_hub(source) or "/" in source:
            raise ConfigError(
                f"--from {registry}: expected the name of an adapter in it, got {source!r}. "
                "Leave --from out for a hub or a folder."
            )
        entry = find_entry(registry, source)
        folder = registry / entry.folder
        _check_no_links(folder, registry)
        return _Found(f"{registry}: {source}", folder, entry.facts(), entry.revision, entry)
    if is_hub(source):
        place = read_hub_place(source)
        folder, commit, files = fetch_adapter(place, offline=offline)
        return _Found(str(place), folder, files, commit)
    return _Found(source, Path(source), _measure(Path(source)))


def _place(found: _Found, out: Path) -> Mapping[str, Any]:
    """Copy, verify, and let the folder appear; return its passport.

    Raises:
        StorageError: If it cannot be written, or something else is in its place.
    """
    out = out.absolute()
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise StorageError(
            f"{out}: expected a free name for the adapter, got something that is there. Choose "
            "another -o, or move it away."
        )
    hidden = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.pull")
    try:
        hidden.mkdir(parents=True)
        for name, facts in found.files.items():
            write_through(hidden / name, _read(found.folder / name, facts, found.where))
        passport = _verify(hidden, found, found.where)
        with suppress(FileNotFoundError):
            out.rmdir()
        hidden.rename(out)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{out}: expected to write an adapter of {sum(f.size for f in found.files.values())} "
            f"bytes, got {error.strerror or error}. Check the free space and the permissions."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return passport


def _read(path: Path, facts: FileFacts, where: str) -> bytes:
    """Read a file of a source, following no link and taking no byte too many.

    Raises:
        HubError: If it cannot be read, or is not what it must be.
    """
    content = _open(path, facts.size + 1, where)
    if (len(content), hashlib.sha256(content).hexdigest()) != (facts.size, facts.sha256):
        got = f"{len(content)} bytes" if len(content) <= facts.size else "more"
        raise HubError(
            f"{where}: expected {path.name} with {facts.size} bytes and SHA-256 {facts.sha256}, "
            f"got {got} of another hash. Nothing was taken; ask its author to publish it again."
        )
    return content


def _open(path: Path, limit: int, where: str) -> bytes:
    """Read the beginning of a plain file.

    Raises:
        HubError: If it is none.
    """
    try:
        # Nor wait for the other end of a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream.read(limit)
        reason = "something else"
    except OSError as error:
        reason = "a link" if path.is_symlink() else str(error.strerror)
    raise HubError(
        f"{where}: expected {path.name} as a plain file, got {reason}. Nothing was taken."
    )


def _measure(folder: Path) -> dict[str, FileFacts]:
    """Return what a plain adapter folder holds.

    Raises:
        HubError: If it holds something that no adapter has, or a link.
        AdapterError: If there is no such folder.
    """
    try:
        sizes = {entry.name: entry.lstat().st_size for entry in folder.iterdir()}
    except OSError as error:
        raise AdapterError(
            f"{folder}: expected hub:OWNER/NAME, a name with --from, or an adapter folder, got "
            f"{error.strerror}. Check the path."
        ) from error
    check_sizes(sizes, str(folder))
    files = {}
    for name, size in sorted(sizes.items()):
        content = _open(folder / name, size, str(folder))
        files[name] = FileFacts(size, hashlib.sha256(content).hexdigest())
    return files


def _check_no_links(folder: Path, registry: Path) -> None:
    """Raise if the way from a registry to an adapter leads through a link.

    Raises:
        HubError: Naming the link.
    """
    for part in (folder, *folder.parents):
        if part == registry:
            return
        if part.is_symlink():
            raise HubError(
                f"{registry}: expected folders of its own, got the link {part.name}. "
                "Nothing was taken."
            )


def _verify(folder: Path, found: _Found, where: str) -> Mapping[str, Any]:
    """Read an adapter as whoever loads it will, and return its passport.

    Raises:
        AdapterError: If it is broken or changes nothing.
        HubError: If it is not the one that the registry names.
    """
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.hub.package import check_effect

    try:
        passport = read_adapter(folder).passport
    except AdapterError as error:
        raise AdapterError(str(error).replace(str(folder), where)) from error
    check_effect(passport, where)
    entry = found.entry
    if entry is not None:
        stated = (entry.adapter_hash, entry.base, entry.base_sha256)
        got = (passport["adapter_hash"], passport["base"]["id"], passport["base"]["sha256"])
        if stated != got:
            raise HubError(
                f"{where}: expected the adapter {stated[0]} for {stated[1]} ({stated[2]}), got "
                f"{got[0]} for {got[1]} ({got[2]}). Ask who keeps the registry."
            )
    return passport


def _same(folder: Path, files: Mapping[str, FileFacts]) -> bool:
    """Tell whether a folder holds exactly these files."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if {entry.name for entry in folder.iterdir()} != files.keys():
        return False
    for name, facts in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size != facts.size:
            return False
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != facts.sha256:
                return False
    return True


def _licences(passport: Mapping[str, Any], entry: Entry | None) -> str:
    """Words for all licences that a passport and an index name."""
    from mfl_adapt.adapter.card import licences_of

    own, inherited = licences_of(passport)
    names = [one.name for one in (*([own] if own else []), *inherited)]
    if entry is not None:
        names = [entry.licence, *entry.inherited, *names]
    return ", ".join(dict.fromkeys(names))


def _printable(text: str) -> str:
    """A stranger's text without what would steer a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
