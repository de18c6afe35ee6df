"""What a stored adapter adds to the weights of its base, layer by layer.

A plain LoRA says it by itself: ``alpha / r * up @ down``. Any other method is put on its base, and
the update is the merged weight minus the base's own. Everything is computed in float64, so that
what is compared or taken apart afterwards is the adapter and not the rounding.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import Any

import torch
from peft import PeftConfig
from peft.utils.other import get_pattern_key
from torch import Tensor

from mfl_adapt.adapter.attached import STOCK_PREFIX
from mfl_adapt.adapter.layers import adapter_layers
from mfl_adapt.adapter.load import StoredAdapter, load
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base

OpenBase = Callable[[StoredAdapter], Base]
"""Opens the base of an adapter; called only where the files alone do not say enough."""

ChooseRank = Callable[[Tensor], int]
"""Chooses a rank by the singular values, largest first."""

_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_VARIANTS = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "fan_in_fan_out",
    "alora_invocation_tokens",
    "arrow_config",
    "layer_replication",
    "lora_bias",
    "velora_config",
    "monteclora_config",
    "kasa_config",
)
"""Settings of peft that make the update of a LoRA another one than ``up @ down``."""


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """The two matrices of one layer, as peft keeps them.

    Attributes:
        down: [r, in] for a linear layer, [r, in, k, k] for a convolution.
        up: [out, r] or [out, r, 1, 1].
        alpha: The update is ``alpha / r * up @ down``.
    """

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        """Number of rows of ``down``, r."""
        return self.down.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """The update of one weight as a matrix, [out, n] with n = in * k * k, or as two factors.

    Attributes:
        left: [out, r], or the matrix itself; float64.
        right: [r, n]; None if ``left`` is the matrix.
        shape: Of the weight.
    """

    left: Tensor
    right: Tensor | None
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Greatest rank that it can have."""
        if self.right is not None:
            return min(self.left.shape[1], self.left.shape[0], self.right.shape[1])
        return min(self.left.shape)

    @property
    def matrix(self) -> Tensor:
        """The whole matrix, [out, n]."""
        return self.left if self.right is None else self.left @ self.right

    def norm(self) -> float:
        """Frobenius norm."""
        if self.right is None:
            return float(self.left.norm())
        return float((torch.linalg.qr(self.left).R @ torch.linalg.qr(self.right.T).R.T).norm())

    def scaled(self, factor: float) -> Update:
        """Return it times a number."""
        return replace(self, left=self.left * factor)

    def svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return U [out, k], the singular values [k], largest first, and V^T [k, n]."""
        if self.right is None:
            u, values, v = torch.linalg.svd(self.left, full_matrices=False)
            return u, values, v
        # Two thin factors need no decomposition of the whole matrix.
        q_left, r_left = torch.linalg.qr(self.left)
        q_right, r_right = torch.linalg.qr(self.right.T)
        u, values, v = torch.linalg.svd(r_left @ r_right.T, full_matrices=False)
        return q_left @ u, values, v @ q_right.T

    def truncated(self, choose: ChooseRank) -> LowRank:
        """Return the nearest update of a rank, in float32, with alpha equal to the rank."""
        u, values, v = self.svd()
        rank = choose(values)
        root = values[:rank].sqrt()
        down = (root[:, None] * v[:rank]).reshape(rank, *self.shape[1:])
        up = (u[:, :rank] * root).reshape(self.shape[0], rank, *(1 for _ in self.shape[2:]))
        return LowRank(down.float(), up.float(), float(rank))


def inner(first: Update, second: Update) -> float:
    """Sum of the products of all entries of two updates of one shape."""
    if first.right is None or second.right is None:
        return float((first.matrix * second.matrix).sum())
    return float(((first.left.T @ second.left) * (first.right @ second.right.T)).sum())


def total(updates: Sequence[Update]) -> Update:
    """Sum of updates of one shape; factors are put side by side, which rounds nothing."""
    if any(update.right is None for update in updates):
        return replace(
            updates[0], left=torch.stack([one.matrix for one in updates]).sum(0), right=None
        )
    left = torch.cat([one.left for one in updates], dim=1)
    right = torch.cat([one.right for one in updates if one.right is not None], dim=0)
    return replace(updates[0], left=left, right=right)


def from_low_rank(layer: LowRank) -> Update:
    """Return the update that two stored matrices make."""
    left = layer.up.double().flatten(1) * (layer.alpha / layer.rank)
    shape = (layer.up.shape[0], *layer.down.shape[1:])
    return Update(left, layer.down.double().flatten(1), shape)


def read_updates(stored: StoredAdapter, open_base: OpenBase) -> dict[str, Update]:
    """Return the update of every weight that an adapter changes.

    Args:
        stored: The adapter.
        open_base: Opens its base; a plain LoRA does without.

    Returns:
        Updates by the name of the layer; that of a bias has ``.bias`` behind it.

    Raises:
        AdapterError: If the adapter changes no weight, or its files do not fit together.
    """
    if stored.config is None:
        raise AdapterError(
            f"{stored.folder}: expected an adapter that changes weights, got one that is only a "
            f"network of its own ({stored.recipe['use']}). It has no updates to look at."
        )
    if is_plain_lora(stored.config):
        layers = low_rank_layers(stored.tensors, stored.config, str(stored.folder))
        return {name: from_low_rank(layer) for name, layer in layers.items()}
    return _through_base(stored, open_base(stored))


def is_plain_lora(config: PeftConfig | None) -> bool:
    """Whether the update of every layer is ``up @ down`` and nothing else."""
    if config is None or config.peft_type.value != "LORA":
        return False
    return not any(getattr(config, name, None) for name in _VARIANTS)


def low_rank_layers(
    tensors: Mapping[str, Tensor], config: PeftConfig, where: str
) -> dict[str, LowRank]:
    """Sort the tensors of a plain LoRA by layer, with the alpha of each.

    Args:
        tensors: By the names in peft's file.
        config: peft's settings; rsLoRA and patterns of ranks and alphas are taken into account.
        where: The adapter, for messages.

    Returns:
        Matrices by the name of the layer, sorted.

    Raises:
        AdapterError: If a tensor has no partner, or is none of a plain LoRA.
    """
    plain = {name.removeprefix(STOCK_PREFIX): tensor for name, tensor in tensors.items()}
    names = sorted(name.removesuffix(_DOWN) for name in plain if name.endswith(_DOWN))
    foreign = plain.keys() - {name + end for name in names for end in (_DOWN, _UP)}
    lonely = [name for name in names if name + _UP not in plain]
    if foreign or lonely or not names:
        name = min(foreign) if foreign else lonely[0] + _DOWN if lonely else "none"
        raise AdapterError(
            f"{where}: expected pairs of lora_A.weight and lora_B.weight, got {name}, which is "
            "no such pair. Only plain LoRA can be read so."
        )
    return {
        name: LowRank(plain[name + _DOWN], plain[name + _UP], _alpha(config, name, plain, where))
        for name in names
    }


def _alpha(config: PeftConfig, layer: str, tensors: Mapping[str, Tensor], where: str) -> float:
    """Return the alpha of a layer, as if it were divided by the rank.

    Raises:
        AdapterError: If the matrices do not share a rank.
    """
    down, up = tensors[layer + _DOWN], tensors[layer + _UP]
    if down.dim() not in {2, 4} or up.dim() != down.dim() or up.shape[1] != down.shape[0]:
        raise AdapterError(
            f"{where}: expected two matrices of one rank for {layer}, got {list(down.shape)} and "
            f"{list(up.shape)}. Fetch the adapter again."
        )
    alpha = alpha_of(layer, config.alpha_pattern, config.lora_alpha, where)
    return alpha * sqrt(down.shape[0]) if config.use_rslora else alpha


def alpha_of(layer: str, patterns: Any, default: Any, where: str) -> float:
    """Return what peft's settings say of a layer's alpha.

    Args:
        layer: Full name.
        patterns: Alphas by regular expression; None or empty for none.
        default: Of all other layers.
        where: The adapter, for messages.

    Raises:
        AdapterError: If a pattern is none, or an alpha is no finite number.
    """
    try:
        found = (patterns or {}).get(get_pattern_key(list(patterns or ()), layer), default)
        alpha = float(found)
    except (re.error, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AdapterError(
            f"{where}: expected numbers as lora_alpha and in alpha_pattern, got: {error}. "
            "Fetch the adapter again."
        ) from error
    if not isfinite(alpha):
        raise AdapterError(f"{where}: expected a finite lora_alpha for {layer}, got {alpha}.")
    return alpha


@torch.no_grad()
def _through_base(stored: StoredAdapter, base: Base) -> dict[str, Update]:
    """Return merged weights minus base weights; the base is bare again afterwards.

    Raises:
        AdapterError: If the adapter does not belong to the base.
    """
    adapter = load(base, stored.folder)
    try:
        updates: dict[str, Update] = {}
        for name, layer in adapter_layers(base.module).items():
            # A copy, as float64 would not fit beside the rest of the network.
            updates |= _merged_minus_base(name, copy.deepcopy(layer).double(), adapter.name)
        return dict(sorted(updates.items()))
    finally:
        adapter.remove()


def _merged_minus_base(name: str, layer: Any, adapter: str) -> dict[str, Update]:
    """Return the updates of one layer, which is merged in place."""
    inner_layer = layer.get_base_layer()
    weight = inner_layer.weight.detach().clone()
    bias = None if inner_layer.bias is None else inner_layer.bias.detach().clone()
    layer.merge(safe_merge=False, adapter_names=[adapter])
    merged = layer.get_base_layer()
    change = (merged.weight - weight).flatten(1)
    found = {name: Update(change, None, tuple(weight.shape))}
    if bias is not None and not torch.equal(merged.bias, bias):
        moved = merged.bias - bias
        found[f"{name}.bias"] = Update(moved[:, None], None, tuple(bias.shape))
    return found
