"""An adapter in the weights of its base, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.compose import check_only_layers, lora_config, lora_tensors, put_on
from mfl_adapt.adapter.compose_resize import Loss, measure_loss
from mfl_adapt.adapter.formats import adaptable
from mfl_adapt.adapter.frozen import base_tensors
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.passport import check_base
from mfl_adapt.adapter.updates import Update, read_updates
from mfl_adapt.errors import AdapterError, RangeError
from mfl_adapt.plugin import Base


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """The difference of two sets of weights as an adapter, on the base.

    Attributes:
        adapter: The adapter.
        loss: What the rank leaves out of the layers.
        left_out: Tensors that differ and have no low-rank form (biases, norms), with the norm of
            their difference over their own.
    """

    adapter: AttachedAdapter
    loss: Loss
    left_out: dict[str, float]


@torch.no_grad()
def merged_weights(base: Base, stored: StoredAdapter) -> dict[str, Tensor]:
    """Return the weights of a base with an adapter added, by name, each rounded once.

    Args:
        base: The adapter's base, without an adapter; it stays as it is.
        stored: An adapter that only changes weights.

    Raises:
        AdapterError: If the adapter has a network of its own, belongs to another base, or the
            sum is not finite.
    """
    check_only_layers(stored, "--to base")
    check_base(stored.passport, base, str(stored.folder))
    weights = base_tensors(base.module)
    merged = {name: tensor.clone() for name, tensor in weights.items()}
    for layer, update in read_updates(stored, lambda _: base).items():
        name = layer if len(update.shape) == 1 else f"{layer}.weight"
        tensor = weights[name]
        exact = tensor.cpu().double() + update.matrix.reshape(update.shape)
        merged[name] = exact.to(tensor.dtype)
        if not torch.isfinite(merged[name]).all():
            raise AdapterError(
                f"{name}: expected finite weights after merging, got some that are not in "
                f"{tensor.dtype}. Load the base in float32."
            )
    return merged


@torch.no_grad()
def extract(
    base: Base, weights: Mapping[str, Tensor], *, rank: int | None, where: str
) -> Extracted:
    """Make the nearest LoRA of the difference between given weights and those of a base.

    Args:
        base: Base without an adapter.
        weights: All weights of the changed network, by name.
        rank: Greatest rank of every layer.
        where: The weights, for messages.

    Returns:
        The adapter; the base's network holds it.

    Raises:
        RangeError: If there is no rank, or it is not positive.
        AdapterError: If the weights belong to another network, or differ nowhere that an adapter
            can change.
    """
    if rank is None or rank < 1:
        raise RangeError(f"--rank: expected at least 1 for --from base, got {rank or 'none'}.")
    own = base_tensors(base.module)
    _check_names(own, weights, where)
    changed = {name: one for name, one in own.items() if not torch.equal(one.cpu(), weights[name])}
    layers = adaptable(base.module)
    updates: dict[str, Update] = {}
    left_out: dict[str, float] = {}
    for name, tensor in sorted(changed.items()):
        difference = weights[name].double() - tensor.cpu().double()
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and layer in layers:
            updates[layer] = Update(difference.flatten(1), None, tuple(tensor.shape))
        else:
            left_out[name] = float(difference.norm() / tensor.double().norm().clamp_min(1e-12))
    if not updates:
        raise AdapterError(
            f"{where}: expected weights that differ from {base.id} in a linear layer or a "
            f"convolution, got {len(changed)} other differences. There is nothing to extract."
        )
    low_rank = {
        name: one.truncated(lambda values: min(rank, len(values))) for name, one in updates.items()
    }
    loss = measure_loss((name, one, low_rank[name]) for name, one in updates.items())
    adapter = put_on(base, lora_config(low_rank), lora_tensors(low_rank), where=where)
    return Extracted(adapter, loss, left_out)


def _check_names(own: Mapping[str, Tensor], given: Mapping[str, Tensor], where: str) -> None:
    """Raise unless both are weights of one network.

    Raises:
        AdapterError: Naming the first tensor that is missing, unexpected or of another shape.
    """
    wrong = sorted(own.keys() ^ given.keys()) or [
        name for name in sorted(own) if own[name].shape != given[name].shape
    ]
    if wrong:
        name = wrong[0]
        sides = [str(list(one[name].shape)) if name in one else "none" for one in (own, given)]
        raise AdapterError(
            f"{where}: expected the {len(own)} tensors of the base, got {name} {sides[1]} instead "
            f"of {sides[0]} ({len(wrong)} such). It is another network."
        )
