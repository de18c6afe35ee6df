"""Bring one file, go on with half of it, and let it appear only when it is right."""

from __future__ import annotations

import logging
from pathlib import Path

from huggingface_hub import hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from mfl_adapt.errors import HubError
from mfl_adapt.hub.answers import explained, find_endpoint
from mfl_adapt.hub.listing import RemoteFile, Source, check_file

logger = logging.getLogger(__name__)

_RANGE_NOT_SATISFIABLE = 416


def bring(file: RemoteFile, source: Source, target: Path, partial: Path) -> str:
    """Make sure that a file is there and right; return its SHA-256.

    huggingface-hub starts a broken file from its first byte in the next process. Hours of a slow
    line are worth keeping, so the bytes that arrived stay in ``partial`` until the rest is there.

    Args:
        file: What it must be.
        source: Where it comes from.
        target: Where it appears, whole and checked.
        partial: Holds what has arrived so far.

    Raises:
        HubError: If the hub refuses, breaks off, or sends something else.
        StorageError: If the disk refuses.
    """
    where = f"{source.repository}/{file.path}"
    with explained(where):
        if target.is_file() and (sha256 := check_file(target, file)):
            return sha256
        for path in (target, partial):
            path.parent.mkdir(parents=True, exist_ok=True)
        _continue(file, source, partial)
        sha256 = check_file(partial, file)
        if sha256 is None:
            got = partial.stat().st_size
            partial.unlink()
            raise HubError(
                f"{where}: expected {file.size} bytes with the hash {file.sha256 or file.git_sha1} "
                f"that the hub states, got {got} others, which were thrown away. Fetch again, and "
                "if that repeats, trust neither the line nor the server."
            )
        partial.replace(target)
    return sha256


def _continue(file: RemoteFile, source: Source, partial: Path) -> None:
    """Download what is missing.

    Raises:
        HfHubHTTPError: If the hub refuses.
    """
    begun = partial.stat().st_size if partial.is_file() else 0
    if begun == file.size:
        return
    if begun > file.size:
        partial.unlink()
        begun = 0
    if begun:
        logger.info("%s: going on after %d of %d bytes", file.name, begun, file.size)
    url = hf_hub_url(source.repository, file.path, revision=source.commit, endpoint=find_endpoint())
    try:
        with partial.open("ab") as stream:
            http_get(
                url,
                stream,
                resume_size=begun,
                headers=build_hf_headers(library_name="mfl_adapt"),
                displayed_filename=file.name,
            )
    except HfHubHTTPError as error:
        if getattr(error.response, "status_code", 0) == _RANGE_NOT_SATISFIABLE:
            partial.unlink()  # what arrived is longer than what the server has
        raise
