"""An adapter in its place: turn it up and down, merge it, take it off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftConfig, get_peft_model_state_dict
from torch import Tensor, nn

from mfl_adapt.adapter.extra import extra_tensors, installed_extra, with_prefix
from mfl_adapt.adapter.frozen import adapter_parameters
from mfl_adapt.adapter.layers import adapter_layers, remove_layers
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
    ) -> None:
        self.base = base
        self.name = name
        self.config = config
        self.seed = seed
        self.passport = passport
        self.save_dtype: torch.dtype | None = None
        self.extra = installed_extra(base.module)
        self._layers = adapter_layers(base.module)
        # A method may scale its layers by a number; what it chose is strength 1.
        self._full_scaling = {
            path: layer.scaling[name]
            for path, layer in self._layers.items()
            if name in getattr(layer, "scaling", {})
        }
        self._strength = 1.0
        self._originals: dict[str, Tensor] | None = None
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
        return adapter_parameters(self.base.module)

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
        """How much of the adapter is added: 0 is the bare base bit for bit, 1 is all of it."""
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
            method = None if self.config is None else self.config.peft_type
            raise AdapterError(
                f"adapter.strength: expected 0 or 1, as {method} has nothing in "
                f"between, got {value:g}. Use a LoRA adapter for that."
            )
        for path, full in self._full_scaling.items():
            self._layers[path].scaling[self.name] = full * (value or 1.0)
        # Off is a path of its own: adding zero would still turn -0.0 into 0.0 and an
        # overflowing adapter into NaN.
        self._switch(on=value != 0)
        if self.extra is not None:
            self.extra.strength = float(value)
        self._strength = float(value)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Run the bare base, bit for bit, inside a ``with`` block."""
        before = self.strength
        self.strength = 0.0
        try:
            yield
        finally:
            self.strength = before

    def merge(self) -> None:
        """Add the adapter into the base's weights, for speed; ``unmerge`` restores them exactly.

        A copy of the changed weights is kept until then. While merged, the base is not frozen
        in the sense of ``base_digest``.

        Raises:
            AdapterError: If the adapter is merged already, removed, at strength 0 or not finite,
                or has a network of its own.
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
        self._originals = {}
        for path, layer in self._layers.items():
            self._originals[path] = layer.get_base_layer().weight.detach().clone()
            try:
                layer.merge(safe_merge=True)
            except ValueError as error:
                self.unmerge()
                raise AdapterError(
                    f"{path}: expected finite weights after merging, got some that are not. "
                    "Train the adapter again."
                ) from error

    def unmerge(self) -> None:
        """Take the adapter out of the base's weights; they are as before, bit for bit.

        Raises:
            AdapterError: If the adapter is not merged.
        """
        if self._originals is None:
            raise AdapterError("adapter.unmerge: expected a merged adapter, got one that is not.")
        for path, original in self._originals.items():
            layer = self._layers[path]
            if layer.merged:
                layer.unmerge()
            # Subtracting what was added does not give the old number back in floating point.
            layer.get_base_layer().weight.data.copy_(original)
        self._originals = None

    def remove(self) -> None:
        """Give the base its own layers back; the adapter is of no use afterwards."""
        self._check_attached()
        if self._originals is not None:
            self.unmerge()
        remove_layers(self.base.module)
        if self.extra is not None:
            self.extra.uninstall(self.base.module)
        self._layers = {}
        self._attached = False

    def _switch(self, *, on: bool) -> None:
        # peft also turns gradients on and off here, which is not its business: they stay.
        flags = [(parameter, parameter.requires_grad) for parameter in self.parameters()]
        for layer in self._layers.values():
            layer.enable_adapters(on)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)

    def _check_attached(self) -> None:
        if not self._attached:
            raise AdapterError(
                f"adapter {self.name}: expected one that is attached, got one that was removed. "
                "Attach or load it again."
            )

    def _check_not_merged(self, action: str) -> None:
        if self._originals is not None:
            raise AdapterError(
                f"adapter {self.name}: expected an unmerged adapter for {action}, got a merged "
                "one. Call unmerge() first."
            )
