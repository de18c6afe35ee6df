"""Rules about view policies: held-out views stay apart, and a seed always means the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.specs import ViewPolicySpec
from mfl_adapt.plugin.testing.outcome import leave_unchecked, require
from mfl_adapt.plugin.testing.probes import ring
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal
from mfl_adapt.plugin.testing.worker import apply_away
from mfl_adapt.types import ViewSplit

if TYPE_CHECKING:
    from mfl_adapt.types import Cameras

_VIEWS = (16, 8, 6)
_SEEDS = 50


def splits(case: Case) -> list[tuple[Cameras, ViewSplit, list[ViewSplit]]]:
    """Per rig that the policy takes: its cameras, the split for evaluation, those for training."""

    def run() -> list[tuple[Cameras, ViewSplit, list[ViewSplit]]]:
        policy, found, refusals = case.built(), [], []
        for views in _VIEWS:
            cameras = ring(views)
            tried = case.attempt("evaluate", partial(policy.evaluate, cameras))
            if isinstance(tried.error, MflAdaptError):
                refusals.append(str(tried.error))
                continue
            last = case.call("evaluate", partial(policy.evaluate, cameras))
            seeds = [
                case.call("train", partial(policy.train, cameras, seed=s)) for s in range(_SEEDS)
            ]
            found.append((cameras, last, seeds))
        if not found:
            leave_unchecked(f"refuses rigs of {_VIEWS} views: {refusals[0]}")
        return found

    results: list[tuple[Cameras, ViewSplit, list[ViewSplit]]] = case.once("splits", run)
    return results


def check_indices(case: Case) -> None:
    """Both parts hold different indices of views that exist, at least one each."""
    for cameras, last, seeds in splits(case):
        for split in (last, *seeds):
            parts = list(split) if isinstance(split, ViewSplit) else []
            good = len(parts) == 2 and all(
                len(part) > 0
                and len(set(part)) == len(part)
                and all(type(one) is int and 0 <= one < len(cameras) for one in part)
                for part in parts
            )
            require(
                good,
                f"{case.name}, {len(cameras)} views",
                expected="a ViewSplit of different whole numbers from 0 to the last view",
                got=repr(split),
                remedy="Turn numpy's integers into int, and draw without replacement.",
            )


def check_apart(case: Case) -> None:
    """Views that evaluation compares with are never met in training."""
    for cameras, last, seeds in splits(case):
        held_out = set(last.targets)
        met = set(last.inputs) | {view for split in seeds for part in split for view in part}
        leaked = sorted(held_out & met)
        require(
            not leaked,
            f"{case.name}, {len(cameras)} views",
            expected=f"the held-out views {sorted(held_out)} in no training example, and not "
            "among the inputs of the evaluation",
            got=f"view {leaked[0] if leaked else ''}",
            remedy="Choose the held-out views from the cameras alone, before anything is drawn.",
        )


def check_seeded(case: Case) -> None:
    """The same seed gives the same views, whatever other code has drawn meanwhile."""
    fresh = case.call("building it again", case.build)
    for cameras, last, seeds in splits(case):
        for name, policy in (("a second call", case.built()), ("a fresh object", fresh)):
            again = [
                case.call(name, partial(policy.train, cameras, seed=seed)) for seed in range(_SEEDS)
            ]
            require(
                again == seeds and case.call(name, partial(policy.evaluate, cameras)) == last,
                f"{case.name}, {len(cameras)} views: {name}",
                expected="the same views for the same seed",
                got="others",
                remedy="Draw from numpy.random.default_rng(seed), made in the call.",
            )


def check_errors(case: Case) -> None:
    """Too few views are refused in one line."""
    splits(case)
    for name in ("evaluate", "train"):
        more = {"seed": 0} if name == "train" else {}
        call = partial(getattr(case.built(), name), ring(1), **more)
        found = case.attempt(f"{name} with one view", call)
        require(
            found.error is not None,
            f"{case.name}, {name} with one view",
            expected="a DataError, as nothing is left to hold out",
            got=repr(found.value),
            remedy="Count the views first.",
        )
        assert found.error is not None
        check_refusal(case, f"{name} with one view", found.error)


def check_workers(case: Case) -> None:
    """The policy survives the way to a worker process, and chooses the same there."""
    cameras, _, seeds = splits(case)[0]
    found = apply_away(case, _choose_there, policy=case.built(), cameras=cameras)
    require(
        found == [[list(part) for part in split] for split in seeds[:5]],
        f"{case.name}: in a worker process",
        expected="the same views as here",
        got="others",
        remedy="Depend on no order of sets and on no hash().",
    )


def _choose_there(policy: Any, cameras: Cameras) -> list[list[list[int]]]:
    return [[list(part) for part in policy.train(cameras, seed=seed)] for seed in range(5)]


_POLICIES = (ViewPolicySpec,)
RULES = (
    Rule(
        "V01-indices",
        _POLICIES,
        "Inputs and targets are different views that exist",
        check_indices,
        ("C02-build",),
    ),
    Rule(
        "V02-apart",
        _POLICIES,
        "Held-out views are met in no training example",
        check_apart,
        ("V01-indices",),
    ),
    Rule(
        "V03-seeded",
        _POLICIES,
        "The same seed always gives the same views",
        check_seeded,
        ("V01-indices",),
    ),
    Rule(
        "V04-errors",
        _POLICIES,
        "Too few views are refused in one line",
        check_errors,
        ("V01-indices",),
    ),
    Rule(
        "V05-workers",
        _POLICIES,
        "It survives the way to a worker process and chooses the same",
        check_workers,
        ("V03-seeded",),
    ),
)
