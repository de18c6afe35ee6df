"""One way to train: what decides its memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to train.

    Attributes:
        views: That the network sees.
        targets: That are rendered and compared with.
        size: Side of the pictures in pixels.
        at_once: Samples that are computed at the same time.
        checkpointing: Compute blocks again in the backward pass.
        precision: Number format of the network's arithmetic.
    """

    views: int
    targets: int
    size: int
    at_once: int = 1
    checkpointing: bool = False
    precision: str = "bf16"

    @property
    def pixels(self) -> int:
        """Pixels of a sample that the network sees."""
        return self.views * self.size**2

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
