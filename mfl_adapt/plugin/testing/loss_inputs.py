"""Random arguments of a loss, of the shapes that training hands over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mfl_adapt.plugin.specs import LossContext, LossSpec
from mfl_adapt.plugin.testing.rule import Case
from mfl_adapt.types import RigContract

if TYPE_CHECKING:
    from torch import Tensor

_SIZE = 24
_CONTRACT = RigContract(size=_SIZE, patch=8, depth_reach=1.8)


class Given:
    """Random arguments of a loss; ``run`` calls it with copies of them.

    Attributes:
        pred: [B, V, C, H, W], 3 colours in [0, 1] or 4 channels of latents.
        target: Same shape.
        mask: [B, V, 1, H, W]: a square, or ones for latents.
        alpha: Rendered opacity, same shape as the mask.
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
        self.mask = torch.ones_like(self.alpha)
        if not self.on_latents:
            self.mask = torch.zeros_like(self.alpha)
            self.mask[..., 6:18, 6:18] = 1.0
        self.extra: dict[str, Any] = {}
        if self.on_latents:
            steps = torch.randint(0, 1000, (batch, 1), generator=generator).expand(batch, views)
            self.extra = {"timesteps": steps, "snr": draw(batch, 1).expand(batch, views) + 0.5}

    def context(self, alpha: Tensor) -> LossContext:
        """What a training step hands over besides pictures."""
        shown = None if self.on_latents else alpha
        return LossContext(contract=_CONTRACT, step=1, alpha=shown, extra=self.extra)

    def run(self, case: Case, loss: Any, **changes: Tensor) -> Tensor:
        """Call the loss; the rule ends where it cannot be."""
        value: Tensor = case.call("calling it", partial(self.bare, loss, **changes))
        return value

    def bare(self, loss: Any, **changes: Tensor) -> Any:
        """Call the loss with copies; changed tensors are handed over themselves."""
        own = {name: getattr(self, name).clone() for name in ("pred", "target", "mask", "alpha")}
        own |= changes
        alpha = own.pop("alpha")
        return loss(own["pred"], own["target"], own["mask"], self.context(alpha))
