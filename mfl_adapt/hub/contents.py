"""What a published adapter may consist of: the names of its files and how large they may be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mfl_adapt.adapter import schema
from mfl_adapt.errors import HubError

WEIGHTS = (schema.WEIGHTS, schema.EXTRA)
PICTURES = (".png", ".jpg", ".jpeg")
MOST_FILES = 40

_MIB = 1 << 20
LIMITS = {
    schema.PASSPORT: schema.MAX_JSON,
    schema.CARD: 4 * _MIB,
    schema.CONFIG: 4 * _MIB,
    **dict.fromkeys(WEIGHTS, 4096 * _MIB),
}
"""Names of files with the most bytes that they may have."""
PICTURE_LIMIT = 20 * _MIB
_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,95}\.(png|jpg|jpeg)")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of an adapter.

    Attributes:
        size: In bytes.
        sha256: In hexadecimal.
    """

    size: int
    sha256: str


def facts_of(files: Mapping[str, bytes]) -> dict[str, FileFacts]:
    """Measure files that lie in memory."""
    return {
        name: FileFacts(len(content), hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    }


def is_picture(name: str) -> bool:
    """Tell whether a file of this name may be published as a picture."""
    return bool(_PICTURE.fullmatch(name))


def check_sizes(sizes: Mapping[str, int], where: str) -> None:
    """Raise unless files are those of an adapter, each within its limit.

    Args:
        sizes: Bytes by name, ``/`` between the parts of a path.
        where: Who offers them, for messages.

    Raises:
        HubError: Naming the first file that does not belong, or the one that is missing.
    """
    for name, size in sorted(sizes.items()):
        limit = LIMITS.get(name, PICTURE_LIMIT if is_picture(name) else None)
        if limit is None:
            raise HubError(
                f"{where}: expected only the files of an adapter ({', '.join(LIMITS)}, pictures), "
                f"got {name!r} too. Nothing was taken; do not use what comes with such a file."
            )
        if size > limit:
            raise HubError(
                f"{where}: expected {name} of at most {limit:,} bytes, got {size:,}. "
                "Nothing was taken; ask its author."
            )
    if len(sizes) > MOST_FILES:
        raise HubError(
            f"{where}: expected at most {MOST_FILES} files, got {len(sizes)}. Ask its author."
        )
    missing = find_missing(sizes)
    if missing:
        raise HubError(
            f"{where}: expected an adapter with {missing}, got one without. "
            "Check the name; ask its author to publish it with mfl_adapt."
        )


def find_missing(names: Iterable[str]) -> str:
    """Name the first file that every adapter has and this one lacks; empty if none."""
    present = set(names)
    if schema.PASSPORT not in present:
        return schema.PASSPORT
    if not present & set(WEIGHTS):
        return schema.WEIGHTS
    needs_config = schema.WEIGHTS in present and schema.CONFIG not in present
    return schema.CONFIG if needs_config else ""
