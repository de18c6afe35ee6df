"""One adapter at another strength or another rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, sqrt
from typing import Any

import torch
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.compose import (
    check_no_bias,
    check_only_layers,
    lora_config,
    lora_tensors,
    put_on,
    save_dtype_of,
)
from mfl_adapt.adapter.load import StoredAdapter, load
from mfl_adapt.adapter.passport import check_base
from mfl_adapt.adapter.updates import (
    LowRank,
    Update,
    from_low_rank,
    is_plain_lora,
    read_updates,
    total,
)
from mfl_adapt.errors import AdapterError, RangeError
from mfl_adapt.plugin import Base, Probed


@dataclass(frozen=True, slots=True)
class Loss:
    """What an approximation leaves out, relative to what was to be approximated.

    Attributes:
        layers: Norm of the error over norm of the update, by layer; 0 for an update of zero.
        overall: The same over all layers together.
        ranks: Rank that was kept, by layer.
    """

    layers: dict[str, float]
    overall: float
    ranks: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, of six digits."""
        layers = {name: _six_digits(error) for name, error in self.layers.items()}
        return {"overall": _six_digits(self.overall), "layers": layers, "ranks": self.ranks}

    def table(self) -> str:
        """Return the errors as lines of text."""
        wide = max(map(len, ["all layers", *self.layers]))
        lines = [f"{'':<{wide}}  {'rank':>5}  {'relative error':>14}"]
        for name, error in self.layers.items():
            lines.append(f"{name:<{wide}}  {self.ranks[name]:>5}  {error:>14.3e}")
        return "\n".join([*lines, f"{'all layers':<{wide}}  {'':>5}  {self.overall:>14.3e}"])


@dataclass(frozen=True, slots=True, eq=False)
class Resized:
    """An adapter of another rank, on its base.

    Attributes:
        adapter: The adapter.
        loss: What the rank leaves out.
        probe: How far the output of the probe moved, relative to what the adapter does to it;
            None if the base has no probe.
    """

    adapter: AttachedAdapter
    loss: Loss
    probe: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        probe = None if self.probe is None else _six_digits(self.probe)
        return {"error": self.loss.to_json(), "probe_change": probe}

    def text(self) -> str:
        """Return errors and probe as lines of text."""
        if self.probe is None:
            return f"{self.loss.table()}\noutput    not measured: the base has no probe"
        return (
            f"{self.loss.table()}\noutput    moved by {self.probe:.3e} of what the adapter does "
            "to the probe"
        )


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def measure_loss(wanted: Iterable[tuple[str, Update, LowRank]]) -> Loss:
    """Compare matrices as they will be stored with the updates they stand for.

    Args:
        wanted: Name, update and matrices of each layer, one after the other, as all updates of a
            large network may not fit into memory.
    """
    errors: dict[str, float] = {}
    ranks: dict[str, int] = {}
    squares = [0.0, 0.0]
    for name, update, layer in wanted:
        error = total([update, from_low_rank(layer).scaled(-1)]).norm()
        norm = update.norm()
        errors[name], ranks[name] = error / norm if norm else 0.0, layer.rank
        squares = [squares[0] + error**2, squares[1] + norm**2]
    overall = sqrt(squares[0] / squares[1]) if squares[1] else 0.0
    return Loss(errors, overall, ranks)


def resize(
    base: Base, stored: StoredAdapter, *, rank: int | None = None, energy: float | None = None
) -> Resized:
    """Make the nearest LoRA of another rank, layer by layer, and put it on its base.

    Args:
        base: The adapter's base, without an adapter.
        stored: An adapter of any method that changes weights.
        rank: Greatest rank of every layer.
        energy: In place of a rank: keep, in every layer, the fewest singular values whose squares
            make this share of all squares; in (0, 1].

    Returns:
        The new adapter; the base's network holds it.

    Raises:
        AdapterError: If the adapter has a network of its own or changes a bias.
        RangeError: If not exactly one of the two is given, or it is out of range.
    """
    _check_goal(rank, energy)
    check_only_layers(stored, "resizing")
    check_base(stored.passport, base, str(stored.folder))
    updates = read_updates(stored, lambda _: base)
    check_no_bias(updates, str(stored.folder), "resizing")
    most = max(update.rank for update in updates.values())
    if rank is not None and rank > most:
        raise RangeError(
            f"--rank: expected at most {most}, the greatest rank in {stored.folder}, got {rank}. "
            "More would hold nothing."
        )
    dtype = save_dtype_of(stored)
    layers = {
        name: _rounded(update.truncated(partial(_choose, rank=rank, energy=energy)), dtype)
        for name, update in updates.items()
    }
    before = _probe_with(base, stored)
    adapter = put_on(
        base,
        lora_config(layers),
        lora_tensors(layers),
        where=str(stored.folder),
        save_dtype=dtype,
    )
    loss = measure_loss((name, update, layers[name]) for name, update in updates.items())
    return Resized(adapter, loss, _probe_change(base, adapter, before))


def scale(base: Base, stored: StoredAdapter, factor: float) -> AttachedAdapter:
    """Make an adapter whose strength 1 is another strength of the given one.

    Args:
        base: The adapter's base, without an adapter.
        stored: An adapter whose update is proportional to one of its matrices.
        factor: Finite and not 0.

    Returns:
        The new adapter, of the same method; the base's network holds it.

    Raises:
        AdapterError: If the method has no strength, or the adapter has a network of its own.
        RangeError: If the factor is 0 or not finite.
    """
    if not isfinite(factor) or factor == 0:
        raise RangeError(
            f"FACTOR: expected a finite number that is not 0, got {factor:g}. At 0 nothing of "
            "the adapter would be left."
        )
    check_only_layers(stored, "scaling")
    check_base(stored.passport, base, str(stored.folder))
    assert stored.config is not None, "it changes weights"
    tensors = {name: _scaled(name, one, factor, stored) for name, one in stored.tensors.items()}
    return put_on(
        base,
        stored.config,
        tensors,
        where=str(stored.folder),
        save_dtype=save_dtype_of(stored),
    )


def _check_goal(rank: int | None, energy: float | None) -> None:
    """Raise unless there is exactly one goal, in its range.

    Raises:
        RangeError: If there is not.
    """
    if (rank is None) == (energy is None):
        raise RangeError(
            "adapter resize: expected --rank or --energy, got "
            f"{'both' if rank is not None else 'neither'}. Give one of them."
        )
    if rank is not None and rank < 1:
        raise RangeError(f"--rank: expected at least 1, got {rank}. Choose another one.")
    if energy is not None and not 0 < energy <= 1:
        raise RangeError(
            f"--energy: expected a share above 0 and up to 1, got {energy:g}. Try 0.99."
        )


def _choose(values: Tensor, *, rank: int | None, energy: float | None) -> int:
    """Rank by number, or the fewest singular values that hold a share of the energy."""
    if rank is not None or energy is None:
        return min(rank or len(values), len(values))
    held = (values**2).cumsum(0)
    # The last sum itself is the whole, so that a share of 1 is reached in spite of rounding.
    return int((held < energy * held[-1]).sum()) + 1 if held[-1] > 0 else 1


def _rounded(layer: LowRank, dtype: torch.dtype | None) -> LowRank:
    """Return the matrices as files of a number format hold them."""
    if dtype is None:
        return layer
    return replace(layer, down=layer.down.to(dtype).float(), up=layer.up.to(dtype).float())


_FACTORS = {
    "LORA": ("lora_B.weight", "lora_B.bias"),
    "LOKR": ("lokr_w1", "lokr_w1_a"),
    "LOHA": ("hada_w1_a",),
}
"""The tensors that carry a method's factor: the update is proportional to each of them alone."""


def _scaled(name: str, tensor: Tensor, factor: float, stored: StoredAdapter) -> Tensor:
    """Return a tensor as it is in the scaled adapter.

    Raises:
        AdapterError: If the method has no strength.
    """
    assert stored.config is not None, "it changes weights"
    method = stored.config.peft_type.value
    if method == "IA3":
        # It multiplies activations: 1 is the bare base, and the update grows from there.
        return 1 + (tensor.float() - 1) * factor
    if method not in _FACTORS or (method == "LORA" and not is_plain_lora(stored.config)):
        what = "DoRA" if getattr(stored.config, "use_dora", False) else method
        raise AdapterError(
            f"{stored.folder}: expected a method whose update can be multiplied, got {what}. "
            "Make a LoRA of it first: mfl-adapt adapter resize --energy 0.9999."
        )
    carries = name.endswith(tuple(f".{end}" for end in _FACTORS[method]))
    return tensor.float() * factor if carries else tensor


@torch.no_grad()
def _probe_with(base: Base, stored: StoredAdapter) -> tuple[Tensor, Tensor] | None:
    """Output of the bare base and of the base with an adapter, or None without a probe."""
    if not isinstance(base, Probed):
        return None
    bare = base.probe()
    adapter = load(base, stored.folder)
    try:
        return bare, base.probe()
    finally:
        adapter.remove()


@torch.no_grad()
def _probe_change(
    base: Base, adapter: AttachedAdapter, before: tuple[Tensor, Tensor] | None
) -> float | None:
    if before is None or not isinstance(base, Probed):
        return None
    bare, old = before
    return float((base.probe() - old).norm() / (old - bare).norm())
