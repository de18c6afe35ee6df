"""What a base learns: one object that turns a step's number into a loss.

The loop knows nothing of Gaussians or diffusion; each has a task of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.plugin import Reconstructor
from mfl_adapt.train.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the forward half of a step came to.

    Attributes:
        loss: Weighted sum, a scalar to differentiate.
        parts: Every term before its weight.
        foreground_psnr_db: Of the pictures against their targets; None where a step makes none.
    """

    loss: Tensor
    parts: Mapping[str, float]
    foreground_psnr_db: float | None = None


class Task(Protocol):
    """The forward half of training."""

    def forward(self, step: int) -> Outcome:
        """Take the batch of a step, from 0, through the network to the losses."""
        ...

    def draw(self, path: Path) -> None:
        """Write a picture that shows how far a few held-out samples have come."""
        ...


def build_task(run: Session, accelerator: Accelerator) -> Task:
    """Return what the base of a run learns, with all its networks on the device."""
    if isinstance(run.base, Reconstructor):
        from mfl_adapt.train.reconstruction import Reconstruction

        return Reconstruction(run, run.base, accelerator)
    # Where nobody makes views, nobody waits for the diffusion libraries.
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
    from mfl_adapt.train.diffusion import Diffusion

    assert isinstance(run.base, FrozenMVDiffusion), "the pipeline opens these two kinds"
    return Diffusion(run, run.base, accelerator)
