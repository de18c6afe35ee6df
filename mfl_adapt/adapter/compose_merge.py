"""Several adapters as one: sums, TIES and DARE by peft's own functions on the full updates.

``linear`` is exact where the rank allows: the matrices of all adapters are put side by side. All
other methods look at single entries of the update, which has no low rank afterwards, so that its
best approximation of the wanted rank is kept and the loss is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, get_args

import torch
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.compose import (
    Source,
    check_no_bias,
    check_only_layers,
    check_same_base,
    lora_config,
    lora_tensors,
    put_on,
    source_name,
)
from mfl_adapt.adapter.compose_resize import Loss, measure_loss
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.passport import check_base
from mfl_adapt.adapter.updates import LowRank, Update, read_updates, total
from mfl_adapt.errors import RangeError
from mfl_adapt.plugin import Base

MergeMethod = Literal["linear", "ties", "dare_linear", "dare_ties"]
RANDOM = ("dare_linear", "dare_ties")
_AVERAGING = ("ties", "dare_ties")
DENSITY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How adapters are merged.

    Attributes:
        method: Name of the method.
        weights: Factor of each adapter; None is 1 for methods that average by themselves (TIES)
            and equal shares of 1 for those that add up.
        density: Share of the entries of each update that is kept, in (0, 1); None is one half.
        rank: Of the result: a number, ``cat`` for the sum of all ranks, None for ``cat`` with
            ``linear`` and the greatest rank of the sources with the others.
        seed: Of the random choice of DARE; None is 0.
    """

    method: MergeMethod = "linear"
    weights: tuple[float, ...] | None = None
    density: float | None = None
    rank: int | Literal["cat"] | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """A merged adapter, on its base.

    Attributes:
        adapter: The adapter.
        sources: What it was made from, with weights.
        recipe: How, with every default filled in.
        loss: What the rank left out.
    """

    adapter: AttachedAdapter
    sources: tuple[Source, ...]
    recipe: Recipe
    loss: Loss

    def to_json(self) -> dict[str, Any]:
        """Return how it was merged, as plain JSON values."""
        return {
            "method": self.recipe.method,
            "rank": self.recipe.rank,
            "density": self.recipe.density,
            "seed": self.recipe.seed,
            "error": self.loss.to_json(),
        }

    def line(self) -> str:
        """Return the same in one line."""
        names = " + ".join(f"{one.weight:g} x {source_name(one.stored)}" for one in self.sources)
        ranks = sorted(set(self.loss.ranks.values()))
        spread = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
        return (
            f"merged    {names} by {self.recipe.method}, rank {spread}, relative error "
            f"{self.loss.overall:.3g}"
        )


def read_weights(text: str | None) -> tuple[float, ...] | None:
    """Read numbers between commas; None stays None.

    Raises:
        RangeError: If something between the commas is no number.
    """
    if text is None:
        return None
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError as error:
        raise RangeError(
            f"--weights: expected numbers between commas, got {text!r}. For instance 0.7,0.3."
        ) from error


def read_rank(text: str | None) -> int | Literal["cat"] | None:
    """Read a number or ``cat``; None stays None.

    Raises:
        RangeError: If it is neither.
    """
    if text is None or text == "cat":
        return "cat" if text else None
    if not text.isdecimal():
        raise RangeError(f"--rank: expected a number or 'cat', got {text!r}. For instance 16.")
    return int(text)


def merge(base: Base, stored: Sequence[StoredAdapter], recipe: Recipe) -> Merged:
    """Make one adapter of several and put it on their base.

    A layer that an adapter leaves alone counts as an update of zero.

    Args:
        base: The base of all, without an adapter.
        stored: At least two adapters.
        recipe: How.

    Returns:
        The merged adapter; the base's network holds it.

    Raises:
        AdapterError: If the adapters belong to different bases, or one has no updates of weights.
        RangeError: If a setting does not fit the method or the adapters.
    """
    recipe = _complete(recipe, len(stored))
    check_same_base(stored, "adapter merge", remedy="Only adapters of one base can be merged.")
    assert recipe.weights is not None, "it was filled in"
    sources = tuple(Source(*pair) for pair in zip(stored, recipe.weights, strict=True))
    updates = [_updates(one, base) for one in stored]
    recipe = _with_rank(recipe, updates)
    layers: dict[str, LowRank] = {}
    loss = measure_loss(_merge_layers(updates, recipe, layers))
    where = "adapter merge"
    adapter = put_on(base, lora_config(layers), lora_tensors(layers), where=where)
    return Merged(adapter, sources, recipe, loss)


def _updates(stored: StoredAdapter, base: Base) -> dict[str, Update]:
    check_only_layers(stored, "merging")
    check_base(stored.passport, base, str(stored.folder))
    updates = read_updates(stored, lambda _: base)
    check_no_bias(updates, str(stored.folder), "merging")
    return updates


def _complete(recipe: Recipe, count: int) -> Recipe:
    """Fill in the defaults that do not depend on the adapters.

    Raises:
        RangeError: If a setting is out of range or of no use to the method.
    """
    method, random = recipe.method, recipe.method in RANDOM
    if method not in get_args(MergeMethod):
        known = ", ".join(get_args(MergeMethod))
        raise RangeError(f"--method: expected one of {known}, got {method!r}. Choose one.")
    if count < 2:
        raise RangeError(f"adapter merge: expected at least 2 adapters, got {count}. Name more.")
    if method == "linear" and recipe.density is not None:
        raise RangeError(
            f"--density: expected none for linear, which keeps every entry, got {recipe.density}. "
            "Leave it out, or choose another --method."
        )
    if not random and recipe.seed is not None:
        raise RangeError(
            f"--seed: expected none for {method}, which draws nothing, got {recipe.seed}. "
            f"Leave it out, or choose {' or '.join(RANDOM)}."
        )
    share = 1.0 if method in _AVERAGING else 1.0 / count
    return Recipe(
        method,
        _checked_weights(recipe.weights or (share,) * count, count),
        None if method == "linear" else _checked_density(recipe.density),
        recipe.rank,
        (recipe.seed or 0) if random else None,
    )


def _checked_weights(weights: tuple[float, ...], count: int) -> tuple[float, ...]:
    """Return the weights.

    Raises:
        RangeError: If there is not one for each adapter, or one is 0 or not finite.
    """
    if len(weights) != count or not all(isfinite(one) and one for one in weights):
        given = ",".join(f"{one:g}" for one in weights)
        raise RangeError(
            f"--weights: expected {count} finite numbers that are not 0, one per adapter, got "
            f"{given}. Separate them by commas."
        )
    return weights


def _checked_density(density: float | None) -> float:
    """Return the density.

    Raises:
        RangeError: If it keeps nothing, or all.
    """
    density = DENSITY if density is None else density
    if not 0 < density < 1:
        raise RangeError(
            f"--density: expected a share between 0 and 1, got {density:g}. "
            "To keep every entry, use --method linear."
        )
    return density


def _with_rank(recipe: Recipe, updates: Sequence[Mapping[str, Update]]) -> Recipe:
    """Fill in the rank.

    Raises:
        RangeError: If there is none to choose because an adapter has no low-rank form, or the
            given one is not positive.
    """
    rank = recipe.rank
    if isinstance(rank, int) and rank < 1:
        raise RangeError(f"--rank: expected at least 1 or 'cat', got {rank}. Choose another one.")
    full = any(one.right is None for each in updates for one in each.values())
    if full and not isinstance(rank, int):
        raise RangeError(
            "--rank: expected a number, as an adapter here is of a method without a rank, got "
            f"{rank or 'none'}. Add --rank, for instance --rank 16."
        )
    if rank is None and recipe.method != "linear":
        rank = max(one.rank for each in updates for one in each.values())
    return Recipe(recipe.method, recipe.weights, recipe.density, rank or "cat", recipe.seed)


def _merge_layers(
    updates: Sequence[Mapping[str, Update]], recipe: Recipe, layers: dict[str, LowRank]
) -> Iterator[tuple[str, Update, LowRank]]:
    """Yield name and wanted update of each layer, and what of it the rank can hold.

    Random choices come from the seed and from nothing else: layers are taken in sorted order, and
    the global random state stays as it is.

    Args:
        updates: Of each adapter, by layer.
        recipe: How to merge.
        layers: Gets the matrices, by layer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(recipe.seed or 0)
        for name in sorted({name for each in updates for name in each}):
            wanted, layers[name] = _merge_layer([each.get(name) for each in updates], recipe)
            yield name, wanted, layers[name]


def _merge_layer(updates: Sequence[Update | None], recipe: Recipe) -> tuple[Update, LowRank]:
    assert recipe.weights is not None, "it was filled in"
    assert recipe.rank is not None, "it was filled in"
    present = [
        (update, weight)
        for update, weight in zip(updates, recipe.weights, strict=True)
        if update is not None
    ]
    if recipe.method == "linear" and all(one.right is not None for one, _ in present):
        joined = total([update.scaled(weight) for update, weight in present])
        if recipe.rank == "cat" or joined.left.shape[1] <= recipe.rank:
            return joined, _side_by_side(joined)
    rank = sum(one.rank for one, _ in present) if recipe.rank == "cat" else recipe.rank
    zero = torch.zeros_like(present[0][0].matrix)
    matrices = [zero if update is None else update.matrix for update in updates]
    matrix = _combine(matrices, torch.tensor(recipe.weights, dtype=zero.dtype), recipe)
    merged = Update(matrix, None, present[0][0].shape)
    return merged, merged.truncated(lambda values: min(rank, len(values)))


def _side_by_side(joined: Update) -> LowRank:
    """Return the factors as they are: nothing is decomposed, so that nothing is lost."""
    assert joined.right is not None, "it is a sum of factors"
    rank = joined.right.shape[0]
    up = joined.left.reshape(joined.shape[0], rank, *(1 for _ in joined.shape[2:]))
    down = joined.right.reshape(rank, *joined.shape[1:])
    return LowRank(down.float(), up.float(), float(rank))


def _combine(matrices: list[Tensor], weights: Tensor, recipe: Recipe) -> Tensor:
    if recipe.method == "linear":
        return task_arithmetic(matrices, weights)
    functions = {"ties": ties, "dare_linear": dare_linear, "dare_ties": dare_ties}
    return functions[recipe.method](matrices, weights, recipe.density)
