"""Proof that an adapter does something, the same everywhere, and the same when it is merged.

A base that is ``Probed`` has one fixed input. What the network makes of it with and without the
adapter says whether the adapter does anything at all; how large the update of each layer is beside
the weight that it changes says where. Both stand in the passport and are measured again when the
adapter is loaded: an adapter that loads and does something else is refused.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.digest import to_bytes
from mfl_adapt.adapter.stack import alone, unmerged
from mfl_adapt.adapter.update_sizes import outputs_beside, ratio, weight_updates
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base, Probed

logger = logging.getLogger(__name__)

ROUNDING = 1e-6
"""A relative change of the output up to this is the rounding of float32, and no effect."""
LAYER_SHARE = 0.01
"""How far the size of a layer's update may be off, as a share: it is computed from weights alone,
in float32, so that only a base kept in half precision differs in the fourth digit."""
OUTPUT_SHARE = 0.05
"""How far the change of the output may be off, as a share of it."""
FLOAT32_NOISE = 1e-5
"""And how far beside that, as a share of the bare output. Other kernels and other numbers of
threads moved the output of the two shipped bases by up to 4e-7."""
OUTPUT_NOISE = {torch.float16: 0.01, torch.bfloat16: 0.05}
"""The same for a base in half precision, which moved it by 0.0007 and 0.006."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an adapter does at strength 1, alone on its base.

    Attributes:
        probe: SHA-256 of the bare base's output on its probe; None for a base without one.
        change: Largest absolute change of that output; None without a probe.
        relative: Norm of the change over the norm of the bare output; None without a probe.
        layers: Norm of each layer's update over the norm of what it changes, by the name of the
            layer; 1 where that is all zero.
    """

    probe: str | None
    change: float | None
    relative: float | None
    layers: Mapping[str, float]

    @property
    def is_none(self) -> bool:
        """Whether there is nothing beyond rounding."""
        if self.relative is None:
            return not any(self.layers.values())
        return self.relative <= ROUNDING

    @property
    def silent_layers(self) -> tuple[str, ...]:
        """Layers whose update is exactly zero."""
        return tuple(name for name, size in self.layers.items() if size == 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in passports."""
        return asdict(self)

    @classmethod
    def from_json(cls, effect: Mapping[str, Any]) -> Effect:
        """Read what stands in a passport that was checked."""
        return cls(effect["probe"], effect["change"], effect["relative"], effect["layers"])


@torch.no_grad()
def prove(adapter: AttachedAdapter) -> Effect:
    """Measure what an adapter does.

    It is measured at strength 1 and without other adapters on the base; strengths, merging, the
    mode of the network and gradient flags are as before afterwards.

    Args:
        adapter: An attached adapter.

    Returns:
        Numbers of six digits.

    Raises:
        AdapterError: If an output or update is not finite.
    """
    base = adapter.base
    with _whole_and_alone(adapter):
        layers, rest = weight_updates(adapter)
        if not isinstance(base, Probed):
            return _finite(Effect(None, None, None, layers), adapter)
        with outputs_beside(rest) as sizes:
            adapted = base.probe()
        with adapter.disabled():
            bare = base.probe()
    layers = {name: layers.get(name, sizes.get(name, 0.0)) for name in adapter.layers}
    difference = (adapted.double() - bare.double()).abs()
    effect = Effect(
        probe=hashlib.sha256(to_bytes(bare)).hexdigest(),
        change=float(difference.max()),
        relative=ratio(float(difference.norm()), float(bare.double().norm())),
        layers=layers,
    )
    return _finite(effect, adapter)


def check_effect(effect: Effect, where: str) -> None:
    """Raise unless there is an effect; a single layer without one is only logged.

    Args:
        effect: What was measured.
        where: The adapter, for the message.

    Raises:
        AdapterError: If the output does not change, or no weight does.
    """
    if effect.is_none:
        what = "no layer that is changed"
        if effect.relative is not None:
            what = f"a relative change of {effect.relative:.3g}, at most the rounding of float32"
        raise AdapterError(
            f"{where}: expected an effect on the output of the base, got {what}. "
            "Train it; an adapter that does nothing is neither saved nor loaded."
        )
    if effect.silent_layers:
        logger.info(
            "%s: the updates of %d of %d layers are zero, %s among them",
            where,
            len(effect.silent_layers),
            len(effect.layers),
            effect.silent_layers[0],
        )


def find_difference(measured: Effect, recorded: Effect, base: Base) -> str | None:
    """Compare what an adapter does here with what its passport says.

    The tolerances are wide enough for another machine and for a base in half precision, and far
    below what another scaling, a left-out layer or another formula of the method would make.

    Args:
        measured: On this machine.
        recorded: On the machine that saved it.
        base: The base, whose number format decides the tolerance.

    Returns:
        Both sides of the first disagreement, ``..., got ...``; None if they agree.
    """
    if measured.layers.keys() != recorded.layers.keys():
        name = min(measured.layers.keys() ^ recorded.layers.keys())
        sides = [name if name in one.layers else f"none on {name}" for one in (recorded, measured)]
        return f"an update of {sides[0]}, got {sides[1]}"
    for name, size in recorded.layers.items():
        if abs(measured.layers[name] - size) > LAYER_SHARE * size + ROUNDING:
            return f"an update of {size:.3g} on {name}, got {measured.layers[name]:.3g}"
    if recorded.relative is None or measured.relative is None:
        return None
    off, allowed = abs(measured.relative - recorded.relative), tolerance(recorded, base)
    if off <= allowed:
        return None
    return (
        f"a relative change of the output of {recorded.relative:.3g} "
        f"(tolerance {allowed:.2g}), got {measured.relative:.3g}"
    )


def tolerance(recorded: Effect, base: Base) -> float:
    """How far the relative change of the output may be off on another machine."""
    noise = max(FLOAT32_NOISE, half_precision_noise(base))
    return OUTPUT_SHARE * (recorded.relative or 0.0) + noise


def half_precision_noise(base: Base) -> float:
    """How far outputs of one network differ for its number format alone; 0 for float32."""
    return max(OUTPUT_NOISE.get(one.dtype, 0.0) for one in base.module.parameters())


def measure_effect(adapter: AttachedAdapter, run: Callable[[], Tensor]) -> float:
    """How much the adapter changes an output of the caller's choice.

    Args:
        adapter: An attached adapter at the strength of interest.
        run: Computes some output of the base, the same way every time.

    Returns:
        Largest absolute difference between the output with and without the adapter.

    Raises:
        AdapterError: If there is no difference at all.
    """
    with torch.no_grad():
        adapted = run()
        with adapter.disabled():
            bare = run()
    effect = float((adapted - bare).abs().max())
    if not effect > 0:
        raise AdapterError(
            f"adapter {adapter.name}: expected an effect on the output, got a largest difference "
            f"of {effect:g} from the bare base. Train it, or raise its strength."
        )
    return effect


def check_merge(
    adapter: AttachedAdapter, run: Callable[[], Tensor], *, tolerance: float = 1e-5
) -> float:
    """Hold the merged network against the adapted one; the adapter is unmerged afterwards.

    Args:
        adapter: An attached adapter, not merged.
        run: Computes some output of the base, the same way every time.
        tolerance: Largest absolute difference that passes; the default suits float32.

    Returns:
        Largest absolute difference of the two outputs.

    Raises:
        AdapterError: If it is above the tolerance.
    """
    with torch.no_grad():
        apart = run()
        adapter.merge()
        try:
            merged = run()
        finally:
            adapter.unmerge()
    difference = float((merged - apart).abs().max())
    if not difference <= tolerance:
        raise AdapterError(
            f"adapter {adapter.name}: expected the merged network within {tolerance:g} of the "
            f"adapted one, got {difference:g}. Do not merge it; use it as it is."
        )
    return difference


@contextmanager
def _whole_and_alone(adapter: AttachedAdapter) -> Iterator[None]:
    """Bring an adapter to strength 1 in a ``with`` block, and all others on its base to 0."""
    with unmerged(adapter.base), alone(adapter):
        strength = adapter.strength
        try:
            adapter.strength = 1.0
            yield
        finally:
            adapter.strength = strength


def _finite(effect: Effect, adapter: AttachedAdapter) -> Effect:
    """Round to six digits, which is more than two machines agree in.

    Raises:
        AdapterError: If a number is not finite.
    """
    named = {"the output": effect.change, "the norm of the output": effect.relative}
    for name, size in (named | dict(effect.layers)).items():
        if size is not None and not math.isfinite(size):
            raise AdapterError(
                f"adapter {adapter.name}: expected a finite change of {name}, got {size}. "
                "Train it again with a smaller learning rate."
            )
    return Effect(
        effect.probe,
        _round(effect.change),
        _round(effect.relative),
        {name: float(f"{size:.6g}") for name, size in effect.layers.items()},
    )


def _round(size: float | None) -> float | None:
    return None if size is None else float(f"{size:.6g}")
