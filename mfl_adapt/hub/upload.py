"""Bring an adapter into a repository of a model hub, as one commit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from mfl_adapt.errors import HubError, MflAdaptError
from mfl_adapt.hub.answers import explained, find_endpoint, is_offline
from mfl_adapt.hub.contents import LIMITS, WEIGHTS, is_picture
from mfl_adapt.hub.listing import RemoteFile, is_content, list_files
from mfl_adapt.hub.places import MAIN, HubPlace

logger = logging.getLogger(__name__)

_OF_THE_HUB = {".gitattributes"}
"""Files that a hub itself puts into a repository."""


def upload(
    files: dict[str, bytes],
    place: HubPlace,
    *,
    adapter_hash: str,
    private: bool = False,
    replace: bool = False,
) -> str:
    """Make a repository hold exactly these files, in one commit or not at all.

    The token comes from ``HF_TOKEN`` or from where huggingface-hub keeps it, and goes nowhere but
    to the hub.

    Args:
        files: Contents by name.
        place: Repository, with the branch to write to; ``main`` if it names none.
        adapter_hash: For the commit's message.
        private: Whether a repository that is new is private.
        replace: Allow another adapter to be replaced; it stays in the history.

    Returns:
        The commit.

    Raises:
        HubError: If the hub refuses or breaks off, or the repository holds something else.
    """
    where, branch = str(place), place.revision or MAIN
    if is_offline():
        raise HubError(f"{where}: expected a network, got HF_HUB_OFFLINE=1. Unset it to publish.")
    if get_token() is None:
        raise HubError(
            f"{where}: expected a token that may write there, got none. Put one into HF_TOKEN, or "
            "log in with `hf auth login`."
        )
    api = HfApi(endpoint=find_endpoint(), library_name="mfl_adapt")
    with _answers(where):
        user = api.whoami()["name"]
        logger.info("publishing as %s", user)
        api.create_repo(place.repository, private=private, exist_ok=True)
        if branch != MAIN:
            api.create_branch(place.repository, branch=branch, exist_ok=True)
        head, present = list_files(place.repository, branch)
        stale = _stale(present, files, where, replace=replace)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
            for name, content in sorted(files.items())
        ]
        operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
        done = api.create_commit(
            place.repository,
            operations=operations,
            commit_message=f"Publish adapter {adapter_hash[:12]}",
            revision=branch,
            # Whoever writes there at the same moment makes this commit fail, not disappear.
            parent_commit=head,
        )
    _check_arrived(place.repository, done.oid, files)
    return done.oid


def _stale(
    present: tuple[RemoteFile, ...], files: dict[str, bytes], where: str, *, replace: bool
) -> list[str]:
    """Return which files of the repository have to go.

    Raises:
        HubError: If it holds more than an adapter, or another one that may not be replaced.
    """
    others = [file for file in present if file.path not in _OF_THE_HUB]
    for file in others:
        if file.path not in LIMITS and not is_picture(file.path):
            raise HubError(
                f"{where}: expected an empty repository or one that holds an adapter, got "
                f"{file.path}. Choose another name."
            )
    for file in others:
        same = file.path in files and is_content(files[file.path], file)
        if file.path in WEIGHTS and not same and not replace:
            raise HubError(
                f"{where}: expected a repository without another adapter, got one that holds "
                f"other weights ({file.path}). Choose another name, or add --replace."
            )
    return sorted(file.path for file in others if file.path not in files)


def _check_arrived(repository: str, commit: str, files: dict[str, bytes]) -> None:
    """Ask for what the commit holds.

    Raises:
        HubError: If that is not what was sent.
    """
    _, present = list_files(repository, commit)
    there = {file.path: file for file in present if file.path not in _OF_THE_HUB}
    wrong = sorted(there.keys() ^ files.keys()) or [
        name for name, file in sorted(there.items()) if not is_content(files[name], file)
    ]
    if wrong:
        raise HubError(
            f"{repository} at {commit}: expected the files that were sent, got another "
            f"{wrong[0]}. Publish again with --replace."
        )


@contextmanager
def _answers(where: str) -> Iterator[None]:
    """Turn what huggingface-hub raises while it uploads into one line.

    Raises:
        MflAdaptError: As it was raised inside.
        HubError: If the hub refuses, breaks off, or answers like no hub.
    """
    try:
        with explained(where), _unwrapped():
            yield
    except MflAdaptError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HubError(
            f"{where}: expected {find_endpoint()} to take it like a model hub, got "
            f"{type(error).__name__} ({reason}). Check HF_ENDPOINT, or try again."
        ) from error


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Pass on why a large file was refused, which huggingface-hub wraps in a plain error.

    Raises:
        RuntimeError: As it was raised inside, if it wraps none of the network.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, HfHubHTTPError | OSError):
            raise error.__cause__ from error
        raise
