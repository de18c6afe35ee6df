"""All adapters on one base: which of them act, and what the base's weights were before a merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from mfl_adapt.adapter.layers import adapter_layers, adapter_names
from mfl_adapt.errors import AdapterError, did_you_mean
from mfl_adapt.plugin import Base

if TYPE_CHECKING:
    from mfl_adapt.adapter.attached import AttachedAdapter

_ATTRIBUTE = "mfl_adapt_stack"
"""Where the network keeps its stack, so that both are copied and forgotten together."""


class Stack:
    """The adapters on one network, in the order in which they were put on.

    Attributes:
        adapters: By name.
        originals: Weights of the base before anything was merged, by layer and name in it.
        merged: Names of the merged adapters, in the order in which they were merged.
    """

    def __init__(self) -> None:
        self.adapters: dict[str, AttachedAdapter] = {}
        self.originals: dict[tuple[str, str], Tensor] = {}
        self.merged: list[str] = []

    def sync(self, module: nn.Module) -> None:
        """Let exactly those adapters act that are switched on and not merged.

        A layer in which none acts takes a path of its own through peft, which is that of the bare
        base: adding zero would still turn -0.0 into 0.0 and an overflowing adapter into NaN.

        Args:
            module: The network.
        """
        acting = [
            name
            for name, adapter in self.adapters.items()
            if adapter.strength != 0 and name not in self.merged
        ]
        # peft also turns gradients on and off here, which is not its business: they stay.
        flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
        for layer in adapter_layers(module).values():
            present = adapter_names(layer)
            names = [name for name in acting if name in present]
            if names:
                layer.set_adapter(names)
            layer.enable_adapters(bool(names))
        for parameter, flag in flags:
            parameter.requires_grad_(flag)

    def merge(self, module: nn.Module, name: str) -> None:
        """Add one adapter into the base's weights, and keep what they were.

        Args:
            module: The network.
            name: The adapter, at its strength; not merged.

        Raises:
            AdapterError: If the sum is not finite; nothing is merged then.
        """
        layers = adapter_layers(module, name)
        for path, layer in layers.items():
            # A method that scales outputs scales the bias too.
            for kind, tensor in layer.get_base_layer().named_parameters(recurse=False):
                self.originals.setdefault((path, kind), tensor.detach().clone())
        self.merged.append(name)
        for path, layer in layers.items():
            try:
                _merge_layer(layer, name)
            except ValueError as error:
                self.unmerge(module, name)
                raise AdapterError(
                    f"{path}: expected finite weights after merging, got some that are not. "
                    "Train the adapter again."
                ) from error
        self.sync(module)

    def unmerge(self, module: nn.Module, name: str) -> None:
        """Take one adapter out of the base's weights again.

        Subtracting what was added does not give the old number back in floating point: the layers
        start from the kept weights, and the other merged adapters are added anew in their order.

        Args:
            module: The network.
            name: A merged adapter.
        """
        self.merged.remove(name)
        for path, layer in adapter_layers(module, name).items():
            for kind, tensor in layer.get_base_layer().named_parameters(recurse=False):
                tensor.data.copy_(self.originals[path, kind])
            others = [other for other in self.merged if other in adapter_names(layer)]
            for other in others:
                _merge_layer(layer, other)
            if not others:
                self.originals = {key: one for key, one in self.originals.items() if key[0] != path}
        self.sync(module)

    def arrange(self, module: nn.Module, order: Sequence[str]) -> None:
        """Bring the adapters into an order, in which they act one after the other.

        Args:
            module: The network.
            order: All their names.
        """
        self.adapters = {name: self.adapters[name] for name in order}
        self.sync(module)

    def release(self, module: nn.Module, name: str) -> None:
        """Forget an adapter; with the last one, the network forgets its stack."""
        del self.adapters[name]
        if self.adapters:
            self.sync(module)
        else:
            delattr(module, _ATTRIBUTE)


def find_stack(module: nn.Module) -> Stack | None:
    """Return the adapters on a network; None if there are none."""
    return getattr(module, _ATTRIBUTE, None)


def stack_of(module: nn.Module) -> Stack:
    """Return the adapters on a network, to put one more on it."""
    stack = find_stack(module)
    if stack is None:
        stack = Stack()
        setattr(module, _ATTRIBUTE, stack)
    return stack


def get_adapters(base: Base) -> dict[str, AttachedAdapter]:
    """All adapters on a base, by name, in the order in which they were put on.

    Args:
        base: Adapted or not.
    """
    stack = find_stack(base.module)
    return {} if stack is None else dict(stack.adapters)


def set_adapters(base: Base, strengths: Mapping[str, float]) -> None:
    """Use these adapters of a base at these strengths, and no others.

    Args:
        base: With adapters on it.
        strengths: Strength by name; adapters that are not named are switched off.

    Raises:
        AdapterError: If there is no adapter of a name, or one cannot take its strength; all are
            as before.
        RangeError: If a strength is negative or not finite.
    """
    present = get_adapters(base)
    for name in strengths:
        if name not in present:
            hint = did_you_mean(name, present) if present else "Load it first."
            raise AdapterError(
                f"{base.id}: expected the name of an adapter on this base, got {name!r}. {hint}"
            )
    _set_all(present, {name: strengths.get(name, 0.0) for name in present})


class Switchable(Protocol):
    """What can be switched off for a while: one adapter, or all of a base."""

    def disabled(self) -> AbstractContextManager[None]:
        """Switch it off inside a ``with`` block."""
        ...


class AllAdapters:
    """The adapters of a base as one, to compare all of them with the bare base."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def disabled(self) -> AbstractContextManager[None]:
        """Run the bare base, bit for bit, inside a ``with`` block."""
        return bare(self._base)


@contextmanager
def bare(base: Base) -> Iterator[None]:
    """Run the bare base, bit for bit, inside a ``with`` block, whatever adapters it has.

    Args:
        base: Adapted or not.

    Raises:
        AdapterError: If an adapter is merged.
    """
    with _at(dict.fromkeys(get_adapters(base), 0.0), base):
        yield


@contextmanager
def unmerged(base: Base) -> Iterator[None]:
    """Take all merged adapters out of a base's weights inside a ``with`` block.

    Args:
        base: Adapted or not.
    """
    stack = find_stack(base.module)
    names = [] if stack is None else list(stack.merged)
    for name in names:
        stack_of(base.module).unmerge(base.module, name)
    try:
        yield
    finally:
        for name in names:
            stack_of(base.module).merge(base.module, name)


@contextmanager
def alone(adapter: AttachedAdapter) -> Iterator[None]:
    """Switch all other adapters of a base off inside a ``with`` block.

    Args:
        adapter: Stays at its strength.

    Raises:
        AdapterError: If another one is merged.
    """
    others = {name: 0.0 for name in get_adapters(adapter.base) if name != adapter.name}
    with _at(others, adapter.base):
        yield


def _merge_layer(layer: Any, name: str) -> None:
    layer.merge(safe_merge=True, adapter_names=[name])
    # With a note of a merged adapter, peft would pass over all others in the layer.
    layer.merged_adapters.clear()


@contextmanager
def _at(strengths: Mapping[str, float], base: Base) -> Iterator[None]:
    present = get_adapters(base)
    chosen = {name: present[name] for name in strengths}
    before = {name: adapter.strength for name, adapter in chosen.items()}
    _set_all(chosen, strengths)
    try:
        yield
    finally:
        _set_all(chosen, before)


def _set_all(adapters: Mapping[str, AttachedAdapter], strengths: Mapping[str, float]) -> None:
    """Set several strengths, or none if one is refused."""
    with ExitStack() as undo:
        for name, adapter in adapters.items():
            undo.callback(setattr, adapter, "strength", adapter.strength)
            adapter.strength = strengths[name]
        undo.pop_all()
