"""An adapter in its place: turn it up and down, merge it, take it off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftConfig, get_peft_model_state_dict
from torch import Tensor, nn

from mfl_adapt.adapter.extra import extra_tensors, with_prefix
from mfl_adapt.adapter.frozen import adapter_parameters
from mfl_adapt.adapter.layers import (
    TakenOut,
    adapter_layers,
    adapter_names,
    is_additive,
    put_back,
    take_out,
)
from mfl_adapt.adapter.stack import find_stack, stack_of
from mfl_adapt.errors import AdapterError, RangeError
from mfl_adapt.plugin import Base

STOCK_PREFIX = "base_model.model."
"""What ``peft.PeftModel`` puts before the names of the network it wraps, in files too."""


class AttachedAdapter:
    """An adapter that sits in a base's network; made by ``attach`` and ``load``.

    Attributes:
        base: The base whose network it changed.
        name: peft's name of the adapter.
        config: peft's settings; None if it changes no layer.
        extra: Its own network beside peft's layers, an ``ExtraModule``, or None.
        seed: Seed of its first weights.
        passport: What came with the file, or None for one that was never saved.
        save_dtype: Number format of its weights in files; None is that in which they are trained.
    """

    def __init__(
        self,
        base: Base,
        config: PeftConfig | None,
        *,
        name: str,
        seed: int,
        passport: Mapping[str, Any] | None = None,
        extra: Any = None,
    ) -> None:
        self.base = base
        self.name = name
        self.config = config
        self.seed = seed
        self.passport = passport
        self.save_dtype: torch.dtype | None = None
        self.extra = extra
        self._layers = adapter_layers(base.module, name)
        # A method may scale its layers by a number; what it chose is strength 1.
        self._full_scaling = {
            path: layer.scaling[name]
            for path, layer in self._layers.items()
            if is_additive(layer, name)
        }
        self._strength = 1.0
        self._attached = True

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers of the base that it changes."""
        return tuple(self._layers)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the adapter's own parameters, by their full names in the network.

        Raises:
            AdapterError: If the adapter was removed.
        """
        self._check_attached()
        return adapter_parameters(self.base.module, self.name)

    def parameters(self) -> list[nn.Parameter]:
        """Return the adapter's own parameters, for an optimizer."""
        return list(self.named_parameters().values())

    def num_parameters(self) -> int:
        """Return how many numbers the adapter holds."""
        return sum(parameter.numel() for parameter in self.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors as in files; those of its own network begin with ``extra.``.

        Raises:
            AdapterError: If the adapter was removed.
        """
        return self.peft_tensors() | with_prefix(self.extra_tensors())

    def extra_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of its own network under their names in files.

        Raises:
            AdapterError: If the adapter was removed.
        """
        self._check_attached()
        return self._as_saved(extra_tensors(self.extra))

    def peft_tensors(self) -> dict[str, Tensor]:
        """Return peft's tensors under the names that stock peft gives them in files.

        Raises:
            AdapterError: If the adapter was removed.
        """
        self._check_attached()
        if self.config is None:
            return {}
        state = get_peft_model_state_dict(
            self.base.module, adapter_name=self.name, save_embedding_layers=False
        )
        return self._as_saved({STOCK_PREFIX + key: state[key].detach() for key in sorted(state)})

    @torch.no_grad()
    def round(self) -> None:
        """Round the weights to ``save_dtype``, so that what is measured is what is saved."""
        if self.save_dtype is not None:
            for parameter in self.parameters():
                parameter.copy_(parameter.to(self.save_dtype))

    def _as_saved(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring numbers into the format of files; whole numbers stay."""
        if self.save_dtype is None:
            return tensors
        return {
            name: tensor.to(self.save_dtype) if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }

    @property
    def strength(self) -> float:
        """How much of the adapter is added: 0 is as if it were not there, bit for bit; 1 is all."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        """Set the strength, from 0 to 1 and beyond.

        Raises:
            RangeError: If the value is negative or not finite.
            AdapterError: If the adapter is merged or removed, or knows only 0 and 1.
        """
        self._check_attached()
        self._check_not_merged("changing the strength")
        if not 0 <= value < float("inf"):
            raise RangeError(
                f"adapter.strength: expected a finite number of at least 0, got {value}. "
                "Use 0 for the bare base and 1 for the whole adapter."
            )
        if value not in {0.0, 1.0} and len(self._full_scaling) < len(self._layers):
            raise AdapterError(
                f"adapter.strength: expected 0 or 1, as {self._method()} has nothing in "
                f"between, got {value:g}. Use a LoRA adapter for that."
            )
        for path, full in self._full_scaling.items():
            self._layers[path].scaling[self.name] = full * (value or 1.0)
        if self.extra is not None:
            self.extra.strength = float(value)
        self._strength = float(value)
        stack_of(self.base.module).sync(self.base.module)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Run without this adapter inside a ``with`` block; others on the base act on.

        If there are no others, or all are off, that is the bare base bit for bit.
        """
        before = self.strength
        self.strength = 0.0
        try:
            yield
        finally:
            self.strength = before

    @property
    def merged(self) -> bool:
        """Whether the base's weights hold the adapter."""
        stack = find_stack(self.base.module)
        return self._attached and stack is not None and self.name in stack.merged

    def merge(self) -> None:
        """Add the adapter into the base's weights, for speed; ``unmerge`` restores them exactly.

        A copy of the changed weights is kept until then. While merged, the base is not frozen
        in the sense of ``base_digest``. Others on the base act on, and may be merged too.

        Raises:
            AdapterError: If the adapter is merged already, removed, at strength 0 or not finite,
                has a network of its own, or shares layers with another one and does not simply
                add to their weights.
        """
        self._check_attached()
        self._check_not_merged("merging")
        if self.extra is not None:
            raise AdapterError(
                f"adapter.merge: expected an adapter that only changes weights, got one of "
                f"{self.extra.recipe['use']}, which adds a network whose result depends on its "
                "input. Use it as it is."
            )
        if self._strength == 0:
            raise AdapterError(
                "adapter.merge: expected a strength above 0, got 0. Set adapter.strength first."
            )
        self._check_others_add()
        stack_of(self.base.module).merge(self.base.module, self.name)

    def unmerge(self) -> None:
        """Take the adapter out of the base's weights, which are as before, bit for bit.

        Raises:
            AdapterError: If the adapter is not merged.
        """
        if not self.merged:
            raise AdapterError("adapter.unmerge: expected a merged adapter, got one that is not.")
        stack_of(self.base.module).unmerge(self.base.module, self.name)

    def remove(self) -> None:
        """Take the adapter off the base; it is of no use afterwards.

        Others stay as they are. With the last one, the base gets its own layers back.
        """
        self._check_attached()
        if self.merged:
            self.unmerge()
        self.take_off()
        self._layers = {}

    def take_off(self) -> TakenOut:
        """Take the adapter off its base for a while.

        Returns:
            What ``put_on`` needs.
        """
        self._check_attached()
        module = self.base.module
        taken = take_out(module, self.name)
        if self.extra is not None:
            self.extra.uninstall(module)
        stack_of(module).release(module, self.name)
        self._attached = False
        return taken

    def put_on(self, taken: TakenOut) -> None:
        """Undo ``take_off``; the adapter is the last in the order then.

        Args:
            taken: What ``take_off`` returned.
        """
        module = self.base.module
        put_back(module, taken)
        if self.extra is not None:
            self.extra.install(module)
        self._attached = True
        stack = stack_of(module)
        stack.adapters[self.name] = self
        stack.sync(module)

    def _method(self) -> str | None:
        """Name of the method, for messages."""
        if any(_is_dora(layer, self.name) for layer in self._layers.values()):
            return "DORA"
        return None if self.config is None else str(self.config.peft_type.value)

    def _check_others_add(self) -> None:
        """Raise if merging would change what another adapter does.

        Raises:
            AdapterError: If they share a layer whose weights are not simply added to.
        """
        for path, layer in self._layers.items():
            present = sorted(adapter_names(layer))
            if len(present) > 1 and not all(is_additive(layer, name) for name in present):
                others = ", ".join(name for name in present if name != self.name)
                raise AdapterError(
                    f"adapter.merge: expected methods that add to the weights, as {self.name} "
                    f"shares {path} with {others}, got {self._method()}. Remove the others first, "
                    "or use it as it is."
                )

    def _check_attached(self) -> None:
        if not self._attached:
            raise AdapterError(
                f"adapter {self.name}: expected one that is attached, got one that was removed. "
                "Attach or load it again."
            )

    def _check_not_merged(self, action: str) -> None:
        if self.merged:
            raise AdapterError(
                f"adapter {self.name}: expected an unmerged adapter for {action}, got a merged "
                "one. Call unmerge() first."
            )


def _is_dora(layer: Any, name: str) -> bool:
    """Tell whether peft keeps the length of rows apart, which no factor on the update turns off."""
    return bool(getattr(layer, "use_dora", {}).get(name))
