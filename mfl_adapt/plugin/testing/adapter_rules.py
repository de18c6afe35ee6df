"""Rules about adapter methods, tried on the small bases that ship with the package."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.specs import AdapterSpec
from mfl_adapt.plugin.testing.bases import SMALL_BASES, answer, asked
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked, require
from mfl_adapt.plugin.testing.rule import Case, Rule
from mfl_adapt.plugin.testing.well_formed import tensors_digest

if TYPE_CHECKING:
    from torch import Tensor

# Methods that rotate weights leave rounding errors of this size, relative to the output.
_NOTHING = 1e-5


class Trial:
    """A base with a fresh adapter on it, and what the bare base answered.

    Attributes:
        base: The base.
        bare: Its answer without the adapter.
        adapter: What ``attach`` returned.
    """

    def __init__(self, base: Any, bare: Tensor, method: Any, seed: int = 0) -> None:
        from mfl_adapt.adapter import attach

        self.base, self.bare = base, bare
        self.adapter = attach(base, method, seed=seed)

    def change(self) -> float:
        """How much the adapter changes the answer, relative to its size."""
        now = asked(self.base)
        return float((now - self.bare).norm() / self.bare.norm().clamp_min(1e-12))

    def nudge(self) -> None:
        """Stand in for training: move every weight of the adapter a little."""
        import torch

        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.adapter.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.02 * noise.to(parameter))


def _open(case: Case) -> Any:
    """The first small base that the method fits; loaded once."""
    from mfl_adapt.pipeline import load_base

    def load() -> Any:
        refusals = []
        for name in SMALL_BASES:
            base = load_base(name)
            fits = case.attempt("peft_config", partial(case.built().peft_config, base.module))
            if fits.error is None:
                return base
            if not isinstance(fits.error, MflAdaptError):
                case.call("peft_config", partial(case.built().peft_config, base.module))
            refusals.append(f"{name}: {fits.error}")
        return leave_unchecked(f"fits none of {', '.join(SMALL_BASES)}: {refusals[0]}")

    base = case.once("base", load)
    if case.once("bare", lambda: answer(base)) is None:
        leave_unchecked(f"the base {base.id} cannot be asked: it has no probe()")
    return base


def _tried(case: Case, *, seed: int = 0) -> Trial:
    """Attach a fresh adapter; the caller removes it."""
    base = _open(case)
    method = case.call("building it again", case.build)
    found: Trial = case.call(
        "attaching it", partial(Trial, base, case.memory["bare"], method, seed)
    )
    return found


def check_attached(case: Case) -> str:
    """It attaches to a base, and trains parameters of its own and no others."""
    import torch

    from mfl_adapt.adapter import base_digest

    base = _open(case)
    before = base_digest(base.module)
    trial = _tried(case)
    try:
        count = trial.adapter.num_parameters()
        require(
            count > 0 and base_digest(base.module) == before,
            f"{case.name}: on {base.id}",
            expected="parameters of its own, and the base's weights as they were",
            got="none" if count == 0 else "other weights of the base",
            remedy="Use no initialiser that changes the base.",
        )
    finally:
        trial.adapter.remove()
    require(
        torch.equal(asked(base), trial.bare) and base_digest(base.module) == before,
        f"{case.name}: removed from {base.id}",
        expected="the bare base, bit for bit",
        got="another answer",
        remedy="Change nothing but what install and peft put in.",
    )
    return f"{count} parameters on {base.id}"


def check_starts_at_nothing(case: Case) -> None:
    """A fresh adapter changes nothing."""
    trial = _tried(case)
    try:
        change = trial.change()
    finally:
        trial.adapter.remove()
    require(
        change <= _NOTHING,
        f"{case.name}: fresh on {trial.base.id}",
        expected="no change of the base's answer",
        got=f"a relative change of {change:.2g}",
        remedy="Start one factor of each update at zero.",
    )


def check_effect(case: Case) -> str:
    """Once its weights move, so does the answer; switched off, the base is bare again."""
    import torch

    trial = _tried(case)
    try:
        trial.nudge()
        change = trial.change()
        trial.adapter.strength = 0.0
        off = asked(trial.base)
    finally:
        trial.adapter.remove()
    require(
        change > 10 * _NOTHING,
        f"{case.name}: after a step on {trial.base.id}",
        expected="another answer than the bare base's",
        got=f"a relative change of {change:.2g}",
        remedy="See that targets match layers which the output passes through.",
    )
    require(
        torch.equal(off, trial.bare),
        f"{case.name}: at strength 0 on {trial.base.id}",
        expected="the bare base, bit for bit",
        got="another answer",
        remedy="Add nothing at strength 0; adding zero is not nothing in floating point.",
    )
    return f"relative change {change:.2g}"


def check_same_seed(case: Case) -> None:
    """The same seed gives the same first weights."""
    digests = []
    for _ in range(2):
        trial = _tried(case, seed=3)
        state = trial.adapter.state_dict()
        digests.append([(name, tensors_digest(state[name])) for name in sorted(state)])
        trial.adapter.remove()
    require(
        digests[0] == digests[1],
        f"{case.name}: first weights",
        expected="the same for the same seed",
        got="others",
        remedy="Draw from torch's global generator, which attach has seeded, and in one order.",
    )


def check_round_trip(case: Case) -> None:
    """Saved and loaded again it has the same hash and the same effect."""
    import torch

    from mfl_adapt.adapter import digest_tensors, load, save

    trial = _tried(case)
    base = trial.base
    with TemporaryDirectory() as folder:
        try:
            trial.nudge()
            want = digest_tensors(trial.adapter.state_dict()), asked(base)
            case.call("saving it", partial(save, trial.adapter, Path(folder) / "a", passport={}))
        finally:
            trial.adapter.remove()
        loaded = case.call("loading it", partial(load, base, Path(folder) / "a", host=case.host))
    try:
        found = digest_tensors(loaded.state_dict()), asked(base)
    finally:
        loaded.remove()
    if found[0] != want[0] or not torch.equal(found[1], want[1]):
        fail(
            f"{case.name}: loaded from its folder",
            expected="the same adapter_hash and the same answer",
            got="another hash" if found[0] != want[0] else "another answer",
            remedy="Keep all that it learned in parameters or buffers that are saved.",
        )


_ADAPTERS = (AdapterSpec,)
RULES = (
    Rule(
        "A01-attached",
        _ADAPTERS,
        "It trains parameters of its own, and leaves without a trace",
        check_attached,
        ("C02-build",),
    ),
    Rule(
        "A02-starts-at-nothing",
        _ADAPTERS,
        "A fresh adapter changes nothing",
        check_starts_at_nothing,
        ("A01-attached",),
    ),
    Rule(
        "A03-effect",
        _ADAPTERS,
        "Once its weights move, so does the answer; off is off",
        check_effect,
        ("A01-attached",),
    ),
    Rule(
        "A04-same-seed",
        _ADAPTERS,
        "The same seed gives the same first weights",
        check_same_seed,
        ("A01-attached",),
    ),
    Rule(
        "A05-round-trip",
        _ADAPTERS,
        "Saved and loaded it has the same hash and effect",
        check_round_trip,
        ("A03-effect",),
    ),
)
