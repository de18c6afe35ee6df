"""Random arguments of a loss, of the shapes that training hands over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mfl_adapt.plugin.specs import LossContext, LossSpec
from mfl_adapt.plugin.testing.probes import ring
from mfl_adapt.plugin.testing.rule import Case
from mfl_adapt.types import Cameras, RigContract, ViewBatch

if TYPE_CHECKING:
    from torch import Tensor

ARGUMENTS = ("pred", "target", "mask", "alpha", "positions")
"""The tensors that a loss may look at, and must not edit."""

_SIZE = 24
_CONTRACT = RigContract(size=_SIZE, patch=8, depth_reach=1.8)


class Given:
    """Random arguments of a loss; ``run`` calls it with copies of them.

    Attributes:
        pred: [B, V, C, H, W], 3 colours in [0, 1] or 4 channels of latents.
        target: Same shape.
        mask: [B, V, 1, H, W]: a square, or ones for latents.
        alpha: Rendered opacity, same shape as the mask.
        positions: Of the Gaussians of two input views, [B, 2, 3, H, W].
    """

    def __init__(self, case: Case, batch: int = 2, views: int = 3) -> None:
        import torch

        assert isinstance(case.spec, LossSpec)
        self.on_latents = case.spec.on == "latents"
        generator = torch.Generator().manual_seed(batch * 10 + views)
        shape = (batch, views, 4 if self.on_latents else 3, _SIZE, _SIZE)

        def draw(*sizes: int) -> Tensor:
            return torch.rand(*sizes, generator=generator)

        self.pred, self.target = draw(*shape), draw(*shape)
        self.alpha = draw(batch, views, 1, _SIZE, _SIZE)
        self.inputs = _inputs(batch, draw)
        # Gaussians about the origin, off their rays.
        self.positions = draw(*self.inputs.rgb.shape) - 0.5
        self.mask = torch.ones_like(self.alpha)
        if not self.on_latents:
            self.mask = torch.zeros_like(self.alpha)
            self.mask[..., 6:18, 6:18] = 1.0
        self.extra: dict[str, Any] = {}
        if self.on_latents:
            steps = torch.randint(0, 1000, (batch, 1), generator=generator).expand(batch, views)
            self.extra = {"timesteps": steps, "snr": draw(batch, 1).expand(batch, views) + 0.5}

    def context(self, alpha: Tensor, positions: Tensor) -> LossContext:
        """What a training step hands over besides pictures."""
        if self.on_latents:
            return LossContext(contract=_CONTRACT, step=1, extra=self.extra)
        return LossContext(
            contract=_CONTRACT, step=1, alpha=alpha, inputs=self.inputs, positions=positions
        )

    def run(self, case: Case, loss: Any, **changes: Tensor) -> Tensor:
        """Call the loss; the rule ends where it cannot be."""
        value: Tensor = case.call("calling it", partial(self.bare, loss, **changes))
        return value

    def bare(self, loss: Any, **changes: Tensor) -> Any:
        """Call the loss with copies; changed tensors are handed over themselves."""
        own = {name: getattr(self, name).clone() for name in ARGUMENTS}
        own |= changes
        context = self.context(own["alpha"], own["positions"])
        return loss(own["pred"], own["target"], own["mask"], context)


def _inputs(batch: int, draw: Callable[..., Tensor]) -> ViewBatch:
    """Random pictures of two cameras that look at the origin from 2.7 away."""
    import torch

    rig = ring(2)
    cameras = Cameras(
        torch.tensor(rig.c2w).float().expand(batch, 2, 4, 4),
        torch.tensor([1.07 * _SIZE, 1.07 * _SIZE, _SIZE / 2, _SIZE / 2]).expand(batch, 2, 4),
        height=_SIZE,
        width=_SIZE,
    )
    mask = torch.ones(batch, 2, 1, _SIZE, _SIZE)
    return ViewBatch(draw(batch, 2, 3, _SIZE, _SIZE), mask, cameras)
