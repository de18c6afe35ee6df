"""Fetch the weights of a base: one commit, every file checked, whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfl_adapt.errors import CheckpointError, ConfigError, StorageError
from mfl_adapt.hub.answers import find_endpoint, is_offline
from mfl_adapt.hub.download import bring
from mfl_adapt.hub.licences import accept, when_accepted
from mfl_adapt.hub.listing import Source, is_commit, list_source
from mfl_adapt.hub.verify import find_changes
from mfl_adapt.models.fetched import (
    WEIGHTS,
    Fetched,
    FetchedFile,
    find_folder,
    locate,
    read_fetched,
    write_fetched,
)
from mfl_adapt.plugin import BaseSpec, Licence, PublishedWeights
from mfl_adapt.plugin.registry import Resolved

logger = logging.getLogger(__name__)

_UNSTATED = Licence(name="a licence that nobody stated", terms="unknown")
_PARTIAL = "partial"


def fetch_base(
    base: Resolved[BaseSpec],
    *,
    revision: str | None = None,
    accept_licence: bool = False,
    offline: bool = False,
) -> tuple[Path, Fetched]:
    """Bring the weights of a base onto this machine, or complete what is there.

    The first fetch resolves the revision to a commit and records it. From then on only that
    commit is fetched: a branch that has moved on, or another revision, is refused.

    Args:
        base: Which one.
        revision: Commit, tag or branch; None is the recorded commit, or what the plugin names.
        accept_licence: The user accepts the licence; needed once.
        offline: Use no network: check what is there. ``HF_HUB_OFFLINE=1`` does the same.

    Returns:
        What to give the base as its checkpoint, and what was recorded.

    Raises:
        ConfigError: If the base has nothing to fetch, or its licence was not accepted.
        HubError: If the hub refuses, breaks off or sends something else.
        CheckpointError: If another commit was fetched before, or files are missing offline.
        StorageError: If files cannot be written.
    """
    published = _published(base)
    _check_licence(base, published, accept_licence=accept_licence)
    recorded = read_fetched(base.name)
    if recorded is not None and revision in {None, recorded.commit}:
        changed = find_changes(base.name, recorded)
        if not changed:
            return locate(base.name)
        logger.info("%s: %d files are missing or have changed", base.name, len(changed))
    if offline or is_offline():
        raise CheckpointError(_offline(base.name, recorded))
    wanted = revision or (recorded.commit if recorded else published.revision)
    source = list_source(published, wanted)
    if recorded is not None and source.commit != recorded.commit:
        raise CheckpointError(
            f"{find_folder(base.name)}: expected commit {recorded.commit}, which was fetched "
            f"before, got {source.commit} for revision {wanted!r}. To change the model, delete "
            "that folder first."
        )
    _bring_all(base, source)
    return locate(base.name)


def _published(base: Resolved[BaseSpec]) -> PublishedWeights:
    """Return where a base is published.

    Raises:
        ConfigError: If it has nothing to fetch.
    """
    if base.spec.published is None:
        raise ConfigError(
            f"{base.name}: expected a base with weights to fetch, got one that needs none. "
            "See `mfl-adapt base list`."
        )
    return base.spec.published


def _check_licence(
    base: Resolved[BaseSpec], published: PublishedWeights, *, accept_licence: bool
) -> None:
    """Record or demand acceptance.

    Raises:
        ConfigError: If the licence was not accepted.
    """
    licence = base.spec.licence or _UNSTATED
    if accept_licence:
        accept(published.repository, licence)
    elif when_accepted(published.repository, licence) is None:
        raise ConfigError(
            f"{base.name}: expected you to accept the {licence.name} ({licence.terms}), got no "
            f"acceptance yet. Read it at {find_endpoint()}/{published.repository}, then add "
            "--accept-licence."
        )


def _bring_all(base: Resolved[BaseSpec], source: Source) -> None:
    """Bring all files, then let them appear in one step.

    Raises:
        StorageError: If another process is at work here, or the disk refuses.
    """
    folder = find_folder(base.name)
    waiting = folder.with_name(f"{folder.name}.partial")
    with _alone(waiting):
        begun = waiting / source.commit
        mending = read_fetched(base.name) is not None
        target = (folder if mending else begun) / WEIGHTS
        _check_space(source, waiting, target)
        if not is_commit(source.revision):
            logger.info("%s is a branch or tag; fetching %s", source.revision, source.commit)
        files = {}
        for number, file in enumerate(source.files, start=1):
            logger.info("%d/%d  %s  %s", number, len(source.files), _size(file.size), file.name)
            sha256 = bring(file, source, target / file.name, begun / _PARTIAL / file.name)
            files[file.name] = FetchedFile(file.size, sha256)
        if not mending:
            licence = (base.spec.licence or _UNSTATED).name
            record = Fetched(
                source.repository, source.commit, source.revision, licence, source.entry, files
            )
            _finish(record, begun, folder)
        shutil.rmtree(waiting, ignore_errors=True)


def _finish(record: Fetched, begun: Path, folder: Path) -> None:
    """Write the record and give the folder its name.

    Raises:
        StorageError: If something else is at that place.
    """
    shutil.rmtree(begun / _PARTIAL, ignore_errors=True)
    write_fetched(record, begun)
    try:
        begun.rename(folder)
    except OSError as error:
        raise StorageError(
            f"{folder}: expected nothing at this place, got {error.strerror}. Move away what is "
            "there and fetch again; what was downloaded is kept."
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from fetching the same base.

    Raises:
        StorageError: If one is at it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to make this folder, got {error.strerror}. Set MFL_HOME to a "
            "folder that you may write."
        ) from error
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)  # which gives up the lock, as the death of the process does


def _lock(handle: int, folder: Path) -> None:
    """Take the lock of a folder.

    Raises:
        StorageError: If another process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to fetch here alone, got another process that does "
            f"({error.strerror}). Wait for it."
        ) from error


def _check_space(source: Source, waiting: Path, target: Path) -> None:
    """Refuse a download that cannot end well.

    Raises:
        StorageError: If the disk is too full.
    """
    there = sum(
        found.stat().st_size
        for parent in (target, waiting / source.commit / _PARTIAL)
        for file in source.files
        if (found := parent / file.name).is_file()
    )
    needed, free = source.size - there, shutil.disk_usage(waiting).free
    if needed > free:
        raise StorageError(
            f"{waiting}: expected room for {_size(needed)}, got {_size(free)}. Make room, or set "
            "MFL_HOME to a folder on another disk."
        )


def _offline(id: str, recorded: Fetched | None) -> str:
    """Message for what cannot be had without a network."""
    if recorded is None:
        return (
            f"{id}: expected fetched weights at {find_folder(id)} in offline mode, found none. "
            "Fetch them with a network, or name a checkpoint of your own."
        )
    changed = find_changes(id, recorded)
    got = f"{len(changed)} of them missing or changed ({changed[0]})" if changed else "another one"
    return (
        f"{id}: expected the files of commit {recorded.commit} in offline mode, got {got}. "
        "Fetch again with a network."
    )


def _size(count: int) -> str:
    """Word a number of bytes."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"
