"""Adapters of a model hub on this machine: downloaded once, file by file, and kept.

    $MFL_HOME/adapters/OWNER--NAME/
        revisions.json            which commit a branch or tag stood for when it was last asked
        <commit>/                 the files of one commit
        <commit>.files.json       their sizes and hashes, written when all were there
        <commit>.partial/         what has arrived of those that are not finished

A download that breaks off goes on here, and what is complete is used without a network.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from mfl_adapt.errors import DataError, HubError
from mfl_adapt.files import read_json, write_atomically
from mfl_adapt.hub.answers import is_offline
from mfl_adapt.hub.contents import FileFacts, check_sizes
from mfl_adapt.hub.download import bring
from mfl_adapt.hub.listing import RemoteFile, Source, is_commit, list_files
from mfl_adapt.hub.lock import alone
from mfl_adapt.hub.places import MAIN, HubPlace
from mfl_adapt.models.fetched import find_home

_OF_THE_HUB = {".gitattributes"}


def fetch_adapter(
    place: HubPlace, *, offline: bool = False
) -> tuple[Path, str, dict[str, FileFacts]]:
    """Make sure that all files of an adapter lie on this machine.

    Args:
        place: Repository and revision.
        offline: Use no network; ``HF_HUB_OFFLINE=1`` does the same.

    Returns:
        Their folder, the commit, and what each must be.

    Raises:
        HubError: If the hub refuses, breaks off, or holds something that is no adapter; or
            without a network, if it was not fetched before.
        StorageError: If files cannot be written.
    """
    cache = find_home() / "adapters" / place.repository.replace("/", "--")
    if offline or is_offline():
        return _find(cache, place)
    commit, present = list_files(place.repository, place.revision or MAIN)
    files = [file for file in present if file.path not in _OF_THE_HUB]
    where = f"{place.repository} at {commit}"
    check_sizes({file.path: file.size for file in files}, where)
    with alone(cache / ".lock"):
        facts = _bring(files, cache, place, commit)
        revisions = _read_revisions(cache) | {place.revision or MAIN: commit}
        _write(cache / "revisions.json", revisions)
    return cache / commit, commit, facts


def _bring(
    files: list[RemoteFile], cache: Path, place: HubPlace, commit: str
) -> dict[str, FileFacts]:
    """Download what is missing of a commit.

    Raises:
        HubError: If the hub refuses, breaks off, or sends something else.
        StorageError: If the disk refuses.
    """
    source = Source(place.repository, commit, place.revision or MAIN, tuple(files), ".")
    partial = cache / f"{commit}.partial"
    facts = {
        file.path: FileFacts(
            file.size, bring(file, source, cache / commit / file.name, partial / file.name)
        )
        for file in files
    }
    shutil.rmtree(partial, ignore_errors=True)
    record = {name: {"size": one.size, "sha256": one.sha256} for name, one in facts.items()}
    _write(cache / f"{commit}.files.json", record)
    return facts


def _find(cache: Path, place: HubPlace) -> tuple[Path, str, dict[str, FileFacts]]:
    """Return what was fetched before.

    Raises:
        HubError: If nothing was, or its record is damaged.
    """
    wanted = place.revision or MAIN
    commit = wanted if is_commit(wanted) else _read_revisions(cache).get(wanted, "")
    record = cache / f"{commit}.files.json"
    if not commit or not record.is_file():
        raise HubError(
            f"{place}: expected an adapter that was pulled before, as there is to be no network, "
            "got none. Pull it once with a network."
        )
    try:
        facts = {
            str(name): FileFacts(int(one["size"]), str(one["sha256"]))
            for name, one in read_json(record).items()
        }
    except (DataError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise HubError(
            f"{record}: expected sizes and hashes of files, got a damaged record. Delete it and "
            "pull again."
        ) from error
    return cache / commit, commit, facts


def _read_revisions(cache: Path) -> dict[str, str]:
    """Which commits revisions stood for; empty if nothing is known, or it is damaged."""
    path = cache / "revisions.json"
    try:
        content = read_json(path) if path.is_file() else {}
    except DataError:
        return {}
    known = content.items() if isinstance(content, dict) else ()
    return {name: commit for name, commit in known if isinstance(commit, str) and is_commit(commit)}


def _write(path: Path, content: Mapping[str, object]) -> None:
    write_atomically(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
