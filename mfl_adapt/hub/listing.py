"""What a repository holds at one commit, with the size and hash of every file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from mfl_adapt.errors import HubError
from mfl_adapt.hub.answers import explained, find_endpoint

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

    from mfl_adapt.plugin import PublishedWeights

TIMEOUT_S = 30.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        path: In the repository.
        name: Relative to the published folder, or the file's own name.
        size: In bytes.
        sha256: Of a large file; None for a small one.
        git_sha1: Git's hash of a small file; None for a large one.
    """

    path: str
    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where files come from.

    Attributes:
        repository: ``owner/name``.
        commit: 40 hexadecimal digits.
        revision: What was asked for.
        files: What is to be fetched, sorted by path.
        entry: What a base is given as its checkpoint; ``.`` is the folder of all files.
    """

    repository: str
    commit: str
    revision: str
    files: tuple[RemoteFile, ...]
    entry: str

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files)


def is_commit(revision: str) -> bool:
    """Tell whether a revision can never mean something else later."""
    return bool(_COMMIT.fullmatch(revision))


def list_source(published: PublishedWeights, revision: str) -> Source:
    """Ask the hub for the files of a base.

    Args:
        published: Where they are.
        revision: Commit, tag or branch.

    Raises:
        HubError: If the hub refuses, the files are not there, or it does not say what they are.
    """
    repository = published.repository
    commit, siblings = _list(repository, revision)
    files = sorted(
        (_remote(one, name, repository) for one in siblings if (name := _name(one, published))),
        key=lambda file: file.path,
    )
    if not files:
        there = ", ".join(sorted(one.rfilename for one in siblings)[:5]) or "nothing"
        raise HubError(
            f"{repository} at {commit}: expected {published.path}, found {there}. "
            "Choose another --revision."
        )
    entry = files[0].name if files[0].path == published.path else "."
    return Source(repository, commit, revision, tuple(files), entry)


def list_files(repository: str, revision: str) -> tuple[str, tuple[RemoteFile, ...]]:
    """Ask the hub for all files of a repository.

    Args:
        repository: ``owner/name``.
        revision: Commit, tag or branch.

    Returns:
        The commit, and its files under their paths, sorted.

    Raises:
        HubError: If the hub refuses, or does not say what the files are.
    """
    commit, siblings = _list(repository, revision)
    found = (_remote(one, one.rfilename, repository) for one in siblings)
    return commit, tuple(sorted(found, key=lambda file: file.path))


def check_file(path: Path, expected: RemoteFile) -> str | None:
    """Return the SHA-256 of a file if it is the one in the repository, else None.

    Raises:
        OSError: If it cannot be read.
    """
    sha256, git = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    git.update(f"blob {expected.size}\0".encode())
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
            if expected.sha256 is None:
                git.update(chunk)
    found = sha256.hexdigest()
    if path.stat().st_size != expected.size:
        return None
    same = found == expected.sha256 if expected.sha256 else git.hexdigest() == expected.git_sha1
    return found if same else None


def is_content(content: bytes, expected: RemoteFile) -> bool:
    """Tell whether these bytes are a file of a repository."""
    if expected.sha256 is not None:
        return hashlib.sha256(content).hexdigest() == expected.sha256
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return git.hexdigest() == expected.git_sha1


def _list(repository: str, revision: str) -> tuple[str, list[RepoSibling]]:
    """Return the commit of a revision, and what the hub says of its files.

    Raises:
        HubError: If the hub refuses, or answers with no or another commit.
    """
    with explained(f"{repository} at {revision}"):
        found = _ask(repository, revision)
    commit = found.sha if isinstance(found.sha, str) else ""
    if not is_commit(commit) or (is_commit(revision) and commit != revision):
        raise HubError(
            f"{repository}: expected the commit of revision {revision!r}, got {commit!r}. "
            "Check HF_ENDPOINT: that server does not answer like a model hub."
        )
    siblings = found.siblings or []
    names = [one.rfilename for one in siblings if _has_form(one)]
    if len(set(names)) < len(siblings):
        raise HubError(
            f"{repository}: expected files with a name of their own, a size and hashes, got others "
            f"among {len(siblings)}. Check HF_ENDPOINT: that server does not answer like a model "
            "hub."
        )
    return commit, siblings


def _has_form(sibling: RepoSibling) -> bool:
    """Tell whether the answer says of a file what the hub's interface says: the rest trusts it."""
    large = sibling.lfs.sha256 if sibling.lfs else None
    return (
        isinstance(sibling.rfilename, str)
        and sibling.rfilename.isprintable()
        and (sibling.size is None or (type(sibling.size) is int and 0 <= sibling.size < 2**63))
        and all(
            one is None or (isinstance(one, str) and bool(_HASH.fullmatch(one)))
            for one in (large, sibling.blob_id)
        )
    )


def _ask(repository: str, revision: str) -> ModelInfo:
    """Ask for the files of a repository.

    Raises:
        HubError: If the answer is none of a model hub.
        HfHubHTTPError: If the hub refuses.
        HFValidationError: If the name is none of a repository.
    """
    endpoint = find_endpoint()
    try:
        return HfApi(endpoint=endpoint).model_info(
            repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S
        )
    except (HfHubHTTPError, HFValidationError):
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise HubError(
            f"{repository}: expected {endpoint} to answer like a model hub, got something else "
            f"({type(error).__name__}). Check HF_ENDPOINT and the network's login page."
        ) from error


def _name(sibling: RepoSibling, published: PublishedWeights) -> str:
    """Name on this machine of a file that belongs to a base; empty for any other file."""
    path = sibling.rfilename
    if path == published.path:
        return PurePosixPath(path).name
    folder = published.path + "/"
    return path.removeprefix(folder) if path.startswith(folder) else ""


def _remote(sibling: RepoSibling, name: str, repository: str) -> RemoteFile:
    """Take over what the hub says of a file.

    Raises:
        HubError: If the name would lead out of our folder, or size or hash are missing.
    """
    if any(part in {"", ".", ".."} for part in name.split("/")) or "\\" in name or ":" in name:
        raise HubError(
            f"{repository}: expected plain file names, got {sibling.rfilename!r}, which would be "
            "written elsewhere. Do not trust that server."
        )
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if sibling.size is None or not (sha256 or sibling.blob_id):
        raise HubError(
            f"{repository}/{sibling.rfilename}: expected the hub to state size and hash, got none. "
            "Without them nothing can be checked: use another HF_ENDPOINT."
        )
    return RemoteFile(sibling.rfilename, name, sibling.size, sha256, sibling.blob_id)
