"""Inputs, targets and held-out views: never mixed, always reproducible."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mfl_adapt_view_policies import register_components
from mfl_adapt_view_policies.config import FixedConfig, HeldOutConfig
from mfl_adapt_view_policies.fixed import Fixed
from mfl_adapt_view_policies.held_out import HeldOut
from mfl_adapt_view_policies.spread import spread_views
from pydantic import ValidationError
from rings import RIG, SIX, ring

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras


def test_fixed_returns_what_is_listed():
    policy = Fixed(FixedConfig(inputs=[0, 2, 4], held_out=[5]))
    assert policy.train(SIX, seed=3) == ((0, 2, 4), (0, 1, 2, 3, 4))
    assert policy.evaluate(SIX) == ((0, 2, 4), (5,))
    policy = Fixed(FixedConfig(inputs=[0, 2], targets=[1, 2], held_out=[5, 3]))
    assert policy.train(SIX, seed=4) == ((0, 2), (1, 2))
    assert policy.evaluate(SIX) == ((0, 2), (5, 3))


def test_fixed_needs_the_listed_views():
    policy = Fixed(FixedConfig(inputs=[0, 1], held_out=[6]))
    for choose in (lambda: policy.train(SIX, seed=0), lambda: policy.evaluate(SIX)):
        with pytest.raises(
            DataError, match=r"fixed: expected at least 7 views, got 6: view 6 is listed"
        ):
            choose()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": [0, 5], "held_out": [5]}, "outside inputs, got 5 in both"),
        ({"inputs": [0], "targets": [4, 5], "held_out": [4]}, "outside targets, got 4 in both"),
        ({"inputs": [1, 1], "held_out": [4]}, "once in inputs, got 1 twice"),
        ({"inputs": [0], "held_out": [4, 4]}, "once in held_out, got 4 twice"),
        ({"inputs": [0], "targets": [], "held_out": [4]}, "at least one view in targets"),
        ({"inputs": [0], "held_out": []}, "held_out"),
        ({"inputs": [-1], "held_out": [4]}, "inputs"),
        ({"inputs": [2], "targets": [2], "held_out": [4]}, "another target than the only input"),
    ],
)
def test_fixed_settings_are_checked(settings, message):
    with pytest.raises(ValidationError, match=message):
        FixedConfig(**settings)


def test_the_only_input_is_never_the_only_target():
    policy = Fixed(FixedConfig(inputs=[0], held_out=[1, 2, 3, 4, 5]))
    with pytest.raises(DataError, match=r"another target than view 0, the only input, which"):
        policy.train(SIX, seed=0)
    with pytest.raises(DataError, match=r"expected at least 7 views, got 6: 2 for training"):
        HeldOut(HeldOutConfig(inputs=1, held_out=5)).train(SIX, seed=0)
    with pytest.raises(ValidationError, match=r"targets of at least 2, as 1 may be the only"):
        HeldOutConfig(inputs=1, targets=1)


@pytest.mark.parametrize("rig", [SIX, RIG])
@pytest.mark.parametrize("held_out", [1, 2, [0, 3]])
@pytest.mark.parametrize("targets", [None, 2])
def test_held_out_views_never_train(rig, held_out, targets):
    policy = HeldOut(HeldOutConfig(inputs=3, held_out=held_out, targets=targets))
    kept = set(policy.evaluate(rig).targets)
    assert len(kept) == (held_out if isinstance(held_out, int) else 2)
    if not isinstance(held_out, int):
        assert kept == set(held_out)
    seen = set()
    for seed in range(40):
        inputs, chosen = policy.train(rig, seed=seed)
        assert len(set(inputs)) == 3
        assert len(set(chosen)) == (6 - len(kept) if targets is None else targets)
        assert kept.isdisjoint(inputs)
        assert kept.isdisjoint(chosen)
        seen |= set(inputs)
    # Over the steps every other view serves as an input.
    assert seen == set(range(6)) - kept
    assert kept.isdisjoint(policy.evaluate(rig).inputs)


def test_the_seed_decides():
    policy = HeldOut(HeldOutConfig(inputs=3, targets=2))
    draws = [policy.train(SIX, seed=seed) for seed in range(20)]
    assert draws == [policy.train(SIX, seed=seed) for seed in range(20)]
    assert len(set(draws)) > 5
    again = HeldOut(HeldOutConfig(inputs=3, targets=2))
    assert again.train(SIX, seed=3) == draws[3]
    assert policy.evaluate(SIX) == again.evaluate(SIX)


def test_held_out_views_are_spread():
    # The last view begins; on a ring of six its opposite is 2, and the farthest of three is 1 or 3.
    assert HeldOut(HeldOutConfig(inputs=4, held_out=1)).evaluate(SIX).targets == (5,)
    assert HeldOut(HeldOutConfig(inputs=4, held_out=2)).evaluate(SIX).targets == (2, 5)
    eight = ring(np.arange(8) * 45)
    assert HeldOut(HeldOutConfig(inputs=4, held_out=4)).evaluate(eight).targets == (1, 3, 5, 7)


def test_evaluation_inputs_are_spread():
    # View 5 is held out; 0 begins, 3 is opposite, then 1 (60 degrees from 0) ties with 2 and 4.
    assert HeldOut(HeldOutConfig(inputs=2)).evaluate(SIX).inputs == (0, 3)
    assert HeldOut(HeldOutConfig(inputs=3)).evaluate(SIX).inputs == (0, 1, 3)
    assert HeldOut(HeldOutConfig(inputs=4, held_out=[0, 1])).evaluate(SIX).inputs == (2, 3, 4, 5)


def test_a_wobbling_rig_keeps_its_choice():
    policy = HeldOut(HeldOutConfig(inputs=3, held_out=2))
    choices = {policy.evaluate(ring(np.arange(6) * 60, wobble_deg=w)) for w in (0, 0.5, -1, 1.5)}
    assert len(choices) == 1


def test_the_choice_does_not_depend_on_the_origin():
    moved = ring([-147, 34, 86, -11, 144, -64], center=(3.0, -9.0, 1.0))
    policy = HeldOut(HeldOutConfig(inputs=3, held_out=2))
    assert policy.evaluate(moved) == policy.evaluate(RIG)


def test_tensors_are_cameras_too():
    as_tensors = Cameras(
        torch.tensor(RIG.c2w).float(), torch.tensor(RIG.fxfycxcy).float(), height=48, width=48
    )
    policy = HeldOut(HeldOutConfig(inputs=3, held_out=2))
    assert policy.evaluate(as_tensors) == policy.evaluate(RIG)


def test_spread_returns_all_when_asked_for_all():
    assert spread_views(SIX, [0, 2, 5], 3, first=2) == [0, 2, 5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"inputs": 4, "held_out": 3},
            r"expected at least 7 views, got 6: 4 for training and 3 held out",
        ),
        ({"inputs": 6, "held_out": [0]}, r"expected at least 7 views, got 6"),
        (
            {"inputs": 2, "held_out": 1, "targets": 6},
            r"expected at least 7 views, got 6: 6 for training",
        ),
        ({"inputs": 4, "held_out": [6]}, r"expected at least 7 views, got 6: view 6 is listed"),
    ],
)
def test_too_few_views(settings, message):
    policy = HeldOut(HeldOutConfig(**settings))
    for choose in (lambda: policy.train(SIX, seed=0), lambda: policy.evaluate(SIX)):
        with pytest.raises(DataError, match=rf"view_policies\.held_out: {message}"):
            choose()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": 0}, "inputs"),
        ({"held_out": 0}, "held_out"),
        ({"held_out": []}, "at least one view in held_out, got none"),
        ({"held_out": [2, 2]}, "once in held_out, got 2 twice"),
        ({"held_out": [-1]}, "held_out"),
        ({"targets": 0}, "targets"),
        ({"seed": 1}, "seed"),
    ],
)
def test_held_out_settings_are_checked(settings, message):
    with pytest.raises(ValidationError, match=message):
        HeldOutConfig(**settings)


def test_the_policies_never_need_torch():
    modules = {spec.build.partition(":")[0] for spec in register_components()}
    assert len(modules) == 7
    code = (
        "import sys, mfl_adapt_view_policies as p; p.register_components(); "
        f"import {', '.join(sorted(modules))}; "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("share", "views", "kept"), [(0.25, 8, 2), (0.25, 6, 1), (0.1, 6, 1)])
def test_a_share_of_the_views_is_held_out(share, views, kept):
    rig = ring(np.arange(views) * 360 / views)
    policy = HeldOut(HeldOutConfig(inputs=3, held_out=share))
    assert len(policy.evaluate(rig).targets) == kept
    counted = HeldOut(HeldOutConfig(inputs=3, held_out=kept))
    assert policy.evaluate(rig) == counted.evaluate(rig)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_a_share_lies_between_none_and_all(share):
    with pytest.raises(ValidationError, match="held_out"):
        HeldOutConfig(held_out=share)


def test_a_step_compares_with_at_most_eight_views_unless_told_otherwise():
    rig = ring(np.arange(32) * 11.25)
    assert len(HeldOut(HeldOutConfig(held_out=8)).train(rig, seed=0).targets) == 8
    assert len(HeldOut(HeldOutConfig(held_out=8, targets=20)).train(rig, seed=0).targets) == 20
