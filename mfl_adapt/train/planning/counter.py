"""Counts the memory of tensors while a program runs, whether they have content or not."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Counts the storages that torch makes inside a ``with`` block, and those that go.

    Every operation passes here, those of the backward pass too. What a kernel takes for itself
    between begin and end is not seen.

    Attributes:
        live: Bytes of all storages that are alive now and were made inside the block.
        peak: Most that there were.
        saved: Bytes of distinct storages that were saved for a backward pass, see ``saving``.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        """Count nothing yet.

        Args:
            known: Tensors that were there before and are not counted.
        """
        super().__init__()
        self.live = self.peak = self.saved = 0
        self._known = {one.untyped_storage()._cdata for one in known}
        self._alive: dict[int, tuple[int, Any]] = {}
        self._saved: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and look at what it made."""
        made = func(*args, **(kwargs or {}))
        for one in (made,) if isinstance(made, Tensor) else tree_leaves(made):
            if isinstance(one, Tensor):
                self._see(one)
        return made

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Count what is saved for a backward pass inside a ``with`` block."""
        with torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor):
            yield

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known and key not in self._saved:
            # Saved storages live as long as the graph, so that no other gets their address.
            self._saved.add(key)
            self.saved += storage.nbytes()
        # Not the tensor itself: one that belongs to the graph would keep it alive for ever.
        return tensor.detach()

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive or key in self._known:
            return
        size = storage.nbytes()
        self._alive[key] = size, weakref.ref(storage, lambda _: self._forget(key))
        self.live += size
        self.peak = max(self.peak, self.live)

    def _forget(self, key: int) -> None:
        size, _ = self._alive.pop(key)
        self.live -= size
