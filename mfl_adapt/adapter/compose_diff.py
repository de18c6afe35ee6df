"""Two adapters, held against each other layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from mfl_adapt.adapter.compose import check_same_base
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.updates import OpenBase, Update, inner, read_updates
from mfl_adapt.errors import AdapterError


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """How the updates of one layer compare.

    Attributes:
        cosine: Of the angle between them, in [-1, 1]; None if one of them is zero.
        norm_first: Frobenius norm of the first.
        norm_second: Of the second.
    """

    cosine: float | None
    norm_first: float
    norm_second: float

    @property
    def ratio(self) -> float | None:
        """Size of the second over that of the first; None if the first is zero."""
        return self.norm_second / self.norm_first if self.norm_first else None


@dataclass(frozen=True, slots=True)
class Difference:
    """How two adapters compare.

    Attributes:
        first: Hash of the first adapter.
        second: Hash of the second.
        layers: Layers that both change, by name.
        only_first: Layers that only the first changes, with the norm of its update.
        only_second: The same of the second.
        passed_over: Networks of their own, which have no updates to compare, by component.
        overall: All layers as one long vector; a layer that one leaves alone counts as zero there.
    """

    first: str
    second: str
    layers: dict[str, LayerDifference]
    only_first: dict[str, float]
    only_second: dict[str, float]
    passed_over: tuple[str, ...]
    overall: LayerDifference

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "first": self.first,
            "second": self.second,
            "overall": _to_json(self.overall),
            "layers": {name: _to_json(layer) for name, layer in self.layers.items()},
            "only_first": self.only_first,
            "only_second": self.only_second,
            "passed_over": list(self.passed_over),
        }

    def table(self) -> str:
        """Return the comparison as lines of text."""
        wide = max(map(len, ["all layers", *self.layers, *self.only_first, *self.only_second]))
        lines = [f"{'':<{wide}}  {'cosine':>7}  {'|A|':>10}  {'|B|':>10}  {'|B|/|A|':>8}"]
        rows = [*self.layers.items(), ("all layers", self.overall)]
        for name, layer in rows:
            cosine, ratio = _number(layer.cosine, "+.4f"), _number(layer.ratio, ".4f")
            lines.append(
                f"{name:<{wide}}  {cosine:>7}  {layer.norm_first:>10.4g}  "
                f"{layer.norm_second:>10.4g}  {ratio:>8}"
            )
        for which, only in (("A", self.only_first), ("B", self.only_second)):
            lines += [
                f"{name:<{wide}}  only in {which}, |{which}| {n:.4g}" for name, n in only.items()
            ]
        lines += [f"passed over: the network of {name}" for name in self.passed_over]
        return "\n".join(lines)


def compare(
    first: StoredAdapter,
    second: StoredAdapter,
    open_base: OpenBase,
    *,
    any_base: bool = False,
) -> Difference:
    """Compare the updates of two adapters.

    Args:
        first: An adapter.
        second: Another one.
        open_base: Opens the base of either, for methods whose files alone do not say the update.
        any_base: Compare adapters of different bases too; layers must still have one shape.

    Raises:
        AdapterError: If the bases or the shapes of a layer differ, or one changes no weight.
    """
    if not any_base:
        check_same_base(
            [first, second], "adapter diff", remedy="Add --any-base to compare them all the same."
        )
    mine, theirs = read_updates(first, open_base), read_updates(second, open_base)
    layers = {name: _compare(name, mine[name], theirs[name]) for name in mine if name in theirs}
    return Difference(
        first.passport["adapter_hash"],
        second.passport["adapter_hash"],
        layers,
        {name: update.norm() for name, update in mine.items() if name not in theirs},
        {name: update.norm() for name, update in theirs.items() if name not in mine},
        tuple(str(one.recipe["use"]) for one in (first, second) if one.recipe is not None),
        _overall(mine, theirs),
    )


def _compare(name: str, first: Update, second: Update) -> LayerDifference:
    """Compare one layer.

    Raises:
        AdapterError: If the weights have different shapes.
    """
    if first.shape != second.shape:
        raise AdapterError(
            f"{name}: expected updates of one shape, got {list(first.shape)} and "
            f"{list(second.shape)}. The bases are different networks."
        )
    return _difference(inner(first, second), first.norm(), second.norm())


def _overall(first: Mapping[str, Update], second: Mapping[str, Update]) -> LayerDifference:
    product = sum(inner(first[name], second[name]) for name in first if name in second)
    norms = (sqrt(sum(one.norm() ** 2 for one in each.values())) for each in (first, second))
    return _difference(product, *norms)


def _difference(product: float, first: float, second: float) -> LayerDifference:
    cosine = product / (first * second) if first and second else None
    # Rounding may lead a little beyond 1.
    return LayerDifference(None if cosine is None else max(-1.0, min(1.0, cosine)), first, second)


def _to_json(layer: LayerDifference) -> dict[str, Any]:
    return asdict(layer) | {"ratio": layer.ratio}


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
