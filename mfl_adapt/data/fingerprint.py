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
    lines = sorted(f"{sample.id}\n{digest_views(sample.views)}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
