"""A hash over everything that a view shows and claims."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import View


def digest_views(views: Iterable[View]) -> str:
    """SHA-256 over names, pixels, masks and cameras, in the order of the views.

    Returns:
        64 hexadecimal digits; equal on every machine for equal bytes.
    """
    digest = hashlib.sha256()
    for view in views:
        header = f"{view.name}\n{view.height} {view.width} {view.mask is not None}\n"
        if view.rgb.dtype != np.uint8:  # absent for 8 bits, whose digests are older than 16 bits
            header += f"{view.rgb.dtype}\n"
        digest.update(header.encode())
        digest.update(np.ascontiguousarray(view.rgb).data)
        if view.mask is not None:
            digest.update(np.ascontiguousarray(view.mask).data)
        for numbers in (view.c2w, view.fxfycxcy):
            digest.update(np.asarray(numbers, dtype="<f8").tobytes())
    return digest.hexdigest()
