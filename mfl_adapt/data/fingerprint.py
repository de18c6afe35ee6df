"""One hash for a whole dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mfl_adapt.images import digest_views

if TYPE_CHECKING:
    from mfl_adapt.types import Sample


def fingerprint(samples: Iterable[Sample]) -> str:
    """SHA-256 over the ids, pixels, masks and cameras of all samples.

    The order of the samples does not matter, so a dataset keeps its fingerprint when its list
    file is sorted anew.

    Returns:
        64 hexadecimal digits.
    """
    return combine_digests((sample.id, digest_views(sample.views)) for sample in samples)


def combine_digests(digests: Iterable[tuple[str, str]]) -> str:
    """The fingerprint of samples whose ids and ``digest_views`` are known already."""
    lines = sorted(f"{name}\n{digest}\n" for name, digest in digests)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
