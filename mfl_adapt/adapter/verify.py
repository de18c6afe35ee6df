"""The whole proof of an adapter folder, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.effect import (
    Effect,
    check_merge,
    half_precision_noise,
    prove,
    tolerance,
)
from mfl_adapt.adapter.frozen import base_digest
from mfl_adapt.adapter.header import read_header
from mfl_adapt.adapter.load import load, read_adapter
from mfl_adapt.adapter.passport import find_mismatches
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base, Probed
from mfl_adapt.plugin.registry import PluginHost

MERGE_SHARE = 2e-5
"""How far the merged network may be from the adapted one, as a share of the largest output:
adding an update to a weight first rounds differently. Seen on the shipped base: 7e-7."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was shown.

    Attributes:
        name: What it is about, ``merged``.
        text: What was found, for people.
        value: The number that shows it; None where there is none, or where it does not apply.
    """

    name: str
    text: str
    value: float | None = None


def verify(
    folder: Path,
    open_base: Callable[[Mapping[str, Any]], Base],
    *,
    host: PluginHost | None = None,
) -> Iterator[Proof]:
    """Prove everything that an adapter folder claims about itself and its base.

    Args:
        folder: Adapter folder.
        open_base: Opens the base that a passport names.
        host: The run's plugins, for an adapter with a network of its own.

    Yields:
        What was shown, in order: files, weights, base, tensors, effect, merged, strength 0.

    Raises:
        AdapterError: At the first claim that does not hold.
    """
    header = read_header(folder)
    size = sum(header.files.values())
    yield Proof("files", f"{len(header.files)} files of one adapter, {size:,} bytes", size)
    stored = read_adapter(folder)
    numbers = sum(entry.count for entry in header.tensors.values())
    yield Proof("weights", f"{numbers:,} finite numbers of hash {_hash(stored.passport)}", numbers)
    base = open_base(stored.passport)
    for sides, remedy in find_mismatches(stored.passport, base, str(folder)):
        raise AdapterError(f"{folder}: expected {sides}. {remedy}")
    yield Proof("base", f"{base.id} with sha256 {base.sha256}, its contract and architecture")
    bare, weights = _probe(base), base_digest(base.module)
    adapter = load(base, folder, host=host)
    count = len(header.tensors)
    yield Proof("tensors", f"{count} of {count} in their places on {_layers(adapter)}", count)
    yield _prove_effect(adapter, Effect.from_json(stored.passport["effect"]))
    yield _prove_merged(adapter, bare)
    yield _prove_off(adapter, bare, weights)


def _prove_effect(adapter: AttachedAdapter, recorded: Effect) -> Proof:
    # ``load`` has compared them already; here is by how much they differ.
    found = prove(adapter)
    if found.relative is None or recorded.relative is None:
        return Proof("effect", f"{adapter.base.id} has no probe; the updates are as recorded")
    allowed = tolerance(recorded, adapter.base)
    text = (
        f"the output changes by {found.relative:.4g} of its norm, recorded {recorded.relative:.4g} "
        f"(tolerance {allowed:.2g})"
    )
    if found.silent_layers:
        text += f"; {len(found.silent_layers)} of {len(found.layers)} layers are not changed"
    return Proof("effect", text, found.relative)


def _prove_merged(adapter: AttachedAdapter, bare: torch.Tensor | None) -> Proof:
    """Hold the merged network against the adapted one.

    Raises:
        AdapterError: If they differ by more than rounding.
    """
    base = adapter.base
    if adapter.extra is not None:
        return Proof("merged", "does not apply: it has a network of its own")
    if bare is None or not isinstance(base, Probed):
        return Proof("merged", f"not measured: {base.id} has no probe")
    largest = float(bare.abs().max())
    allowed = max(MERGE_SHARE, half_precision_noise(base)) * largest
    difference = check_merge(adapter, base.probe, tolerance=allowed)
    text = f"at most {difference:.2g} from the adapted network (tolerance {allowed:.2g})"
    return Proof("merged", text, difference)


def _prove_off(adapter: AttachedAdapter, bare: torch.Tensor | None, weights: str) -> Proof:
    """Show that the base is itself at strength 0, and after the adapter is gone.

    Raises:
        AdapterError: If it is not, bit for bit.
    """
    base = adapter.base
    with adapter.disabled():
        off = _probe(base)
    digest = base_digest(base.module)
    adapter.remove()
    for when, output in (("at strength 0", off), ("after the adapter was removed", _probe(base))):
        if bare is not None and output is not None and not torch.equal(output, bare):
            raise AdapterError(
                f"{base.id}: expected the output of the bare base bit for bit {when}, got a "
                f"difference of {float((output - bare).abs().max()):.3g}. "
                "Tell the author of the adapter's method."
            )
    if not digest == base_digest(base.module) == weights:
        raise AdapterError(
            f"{base.id}: expected base weights of hash {weights} as before, got {digest}. "
            "Tell the author of the adapter's method."
        )
    if bare is None:
        return Proof("strength 0", "the weights of the base are as before", 0.0)
    return Proof("strength 0", "the bare base bit for bit, in weights and output", 0.0)


def _probe(base: Base) -> torch.Tensor | None:
    return base.probe() if isinstance(base, Probed) else None


def _hash(passport: Mapping[str, Any]) -> str:
    return str(passport["adapter_hash"])


def _layers(adapter: AttachedAdapter) -> str:
    own = "" if adapter.extra is None else " and a network of its own"
    return f"{len(adapter.layers)} layers{own}"
