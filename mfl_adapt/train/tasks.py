"""What a base learns: one object that turns a step's number into a loss.

The loop knows nothing of Gaussians or diffusion; each has a task of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.plugin import Reconstructor
from mfl_adapt.train.guards.watch import Look
from mfl_adapt.train.session import Session

NO_LOOK = Look()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the forward half of a step came to.

    Attributes:
        loss: Weighted sum, a scalar to differentiate.
        parts: Every term before its weight.
        foreground_psnr_db: Of the pictures against their targets; None where a step makes none.
        measures: What guards measured on the pictures; empty without a look.
        gradients: Whether loss terms had one, by name; empty without a look.
    """

    loss: Tensor
    parts: Mapping[str, float]
    foreground_psnr_db: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, bool] = field(default_factory=dict)


class Task(Protocol):
    """The forward half of training."""

    def forward(self, step: int, look: Look = NO_LOOK) -> Outcome:
        """Take the batch of a step, from 0, through the network to the losses.

        Args:
            step: From 0.
            look: What guards want to know of it.
        """
        ...

    def draw(self, path: Path) -> Mapping[str, float]:
        """Write a picture that shows how far a few held-out samples have come.

        Returns:
            What guards can only measure here; empty if every look at a step measures it.
        """
        ...

    def validate(self, limit: int) -> float:
        """Return the mean foreground PSNR in dB of the held-out views of a few samples.

        Args:
            limit: Most samples.
        """
        ...


def build_task(run: Session, accelerator: Accelerator) -> Task:
    """Return what the base of a run learns, with all its networks on the device."""
    if isinstance(run.base, Reconstructor):
        from mfl_adapt.train.reconstruction import Reconstruction

        return Reconstruction(run, run.base, accelerator)
    # Where nobody makes views, nobody waits for the diffusion libraries.
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
    from mfl_adapt.train.diffusion import Diffusion
    from mfl_adapt.train.micro import check_micro

    check_micro(run.config.train, run.base.id)
    assert isinstance(run.base, FrozenMVDiffusion), "the pipeline opens these two kinds"
    return Diffusion(run, run.base, accelerator)
