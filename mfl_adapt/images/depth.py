"""Bits per channel: 8 or 16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


def to_8_bit(values: Bytes) -> Bytes:
    """Round 16-bit values to 8 bits; 8-bit values come back as they are."""
    if values.dtype != np.uint16:
        return values
    # 65535 = 257 * 255, and adding 128 before the division rounds to nearest.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def largest(dtype: Any) -> int:
    """Greatest value of an integer type: full white."""
    return int(np.iinfo(dtype).max)
