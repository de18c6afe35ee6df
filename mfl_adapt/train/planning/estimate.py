"""The memory of a step at full size, from networks without weights.

Blocks that are alike take alike: a network of 24 is counted from one of 2 and one of 3, which
takes a tenth of the time and gives the same number. Blocks differ where an adapter begins or
ends; each kind is counted by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from itertools import groupby

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from mfl_adapt.adapter import AttachedAdapter, attach
from mfl_adapt.errors import TrainingError
from mfl_adapt.models.attention import as_on_gpu
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.models.gslrm.prefix import Begun, Prefix
from mfl_adapt.plugin import AdapterMethod, Base
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.planning.counted import Counted, Term, blank_views, count_step
from mfl_adapt.train.planning.setting import Setting
from mfl_adapt.train.planning.stand_ins import draw_like_cpu, draw_like_gsplat
from mfl_adapt.types import Cameras

_LEAST = 2
"""Blocks of a kind that are counted: the first of them meets another kind."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Bytes that no setting of views or pictures changes.

    Attributes:
        weights: Of the network.
        adapter: Weights in training.
        moments: Of the optimizer, and a moving average if there is one.
    """

    weights: int
    adapter: int
    moments: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.adapter + self.moments


class Sketch:
    """A base without weights, with an adapter, whose steps can be counted.

    Attributes:
        base: The base.
        adapter: What would be trained.
        terms: Losses.
        fixed: Memory that does not depend on the setting.
    """

    def __init__(
        self, base: Base, method: AdapterMethod, terms: Sequence[Term], *, device: str, ema: bool
    ) -> None:
        """Put an adapter on a base without weights.

        Args:
            base: As the plugin outlines it, on torch's meta device.
            method: Of the adapter.
            terms: Losses.
            device: ``cuda`` or ``cpu``: whose ways are taken.
            ema: Whether a moving average of the adapter is kept.

        Raises:
            TrainingError: If the base makes no Gaussians.
        """
        module = base.module
        if not isinstance(module, GSLRM):
            raise TrainingError(
                f"plan: expected a base that makes Gaussians, got {base.id}, whose views and "
                "resolution are fixed. Use mfl-adapt train --dry-run."
            )
        self.base, self._module, self.terms, self._device = base, module, terms, device
        self.adapter: AttachedAdapter = attach(base, method, seed=0)
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        with self._fake:
            module.to_empty(device="cpu")
        own = _bytes(self.adapter.parameters())
        total = _bytes([*module.parameters(), *module.buffers()])
        self.fixed = Fixed(weights=total - own, adapter=own, moments=own * (3 if ema else 2))

    def count(self, setting: Setting) -> Counted:
        """Count a step of all blocks, from as few as tell."""
        kinds = [list(group) for _, group in groupby(self._module.transformer_layers, _kind)]
        least = [min(len(kind), _LEAST) for kind in kinds]
        base = self.count_blocks(setting, _take(kinds, least))
        total = base
        for index, kind in enumerate(kinds):
            if len(kind) > least[index]:
                more = [count + (place == index) for place, count in enumerate(least)]
                step = self.count_blocks(setting, _take(kinds, more))
                total = _extend(total, base, step, len(kind) - least[index])
        return total

    def can_count(self, term: Term) -> bool:
        """Tell whether a loss can be counted: whether its way does not depend on its values."""
        setting = Setting(views=1, targets=1, size=4 * self.base.contract.patch)
        before, self.terms = self.terms, [term]
        try:
            self.count_blocks(setting)
        except (DataDependentOutputException, DynamicOutputShapeException):
            return False
        finally:
            self.terms = before
        return True

    def count_blocks(self, setting: Setting, blocks: Sequence[nn.Module] | None = None) -> Counted:
        """Count a step with some of the blocks only, or with all."""
        on_gpu = self._device == "cuda"
        draw = draw_like_gsplat if on_gpu else draw_like_cpu
        with ExitStack() as stack:
            stack.enter_context(self._fake)
            stack.enter_context(_only(self._module, blocks))
            if on_gpu:
                stack.enter_context(as_on_gpu())
            stack.enter_context(fast_training(self.adapter, checkpointing=setting.checkpointing))
            if self._module.prefix is not None:
                self._module.prefix = BlankPrefix(self._module.prefix.depth)
            inputs = blank_views(setting, setting.views)
            targets = blank_views(setting, setting.targets)
            self._module.train()
            contract = replace(self.base.contract, size=setting.size)
            return count_step(
                self._module, inputs, targets, draw, self.terms, contract, setting.precision
            )


class BlankPrefix(Prefix):
    """Computes a prefix anew, as at the first time that an item comes."""

    def _of_one(self, rgb: Tensor, cameras: Cameras, begin: object) -> Begun:
        assert callable(begin)
        with torch.no_grad():
            begun: Begun = begin(rgb, cameras)
        return begun


def _kind(block: nn.Module) -> tuple[object, ...]:
    """What makes blocks alike: names and shapes of their weights, and which are trained."""
    return tuple(
        (name, tuple(one.shape), one.requires_grad) for name, one in block.named_parameters()
    )


def _take(kinds: Sequence[Sequence[nn.Module]], counts: Sequence[int]) -> list[nn.Module]:
    return [one for kind, count in zip(kinds, counts, strict=True) for one in kind[:count]]


def _extend(total: Counted, base: Counted, step: Counted, times: int) -> Counted:
    """Add what one block more takes, so many times."""
    values = {
        field.name: getattr(total, field.name)
        + times * (getattr(step, field.name) - getattr(base, field.name))
        for field in fields(Counted)
    }
    return Counted(**values)


@contextmanager
def _only(module: GSLRM, blocks: Sequence[nn.Module] | None) -> Iterator[None]:
    """Let a network have some of its blocks only inside a ``with`` block."""
    before = module.transformer_layers
    if blocks is not None:
        module.transformer_layers = nn.ModuleList(blocks)
    try:
        yield
    finally:
        module.transformer_layers = before


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)
