"""Sorted, rotating, overlapping, reference and failing views."""

import json
import random

import numpy as np
import pytest
from helpers import shared_path
from mfl_adapt_view_policies.config import (
    CameraDropoutConfig,
    OverlapConfig,
    ReferenceConfig,
    RotatingConfig,
    SortedConfig,
)
from mfl_adapt_view_policies.dropout import CameraDropout
from mfl_adapt_view_policies.overlap import MaximizeViewOverlap, choose_overlapping, near_enough
from mfl_adapt_view_policies.reference import Reference
from mfl_adapt_view_policies.ring import pick_evenly, ring_order
from mfl_adapt_view_policies.rotating import Rotating
from mfl_adapt_view_policies.sorted_views import Sorted
from pydantic import ValidationError
from rings import RIG, SIX, ring

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import BatchViewPolicy
from mfl_adapt.types import Cameras

ALL = [
    Sorted(SortedConfig(inputs=3)),
    Rotating(RotatingConfig()),
    MaximizeViewOverlap(OverlapConfig(inputs=3)),
    Reference(ReferenceConfig(inputs=2)),
    CameraDropout(CameraDropoutConfig(inputs=3, least=1)),
]


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize("rig", [SIX, RIG])
def test_held_out_views_never_train_and_seeds_decide(policy, rig):
    inputs, held_out = policy.evaluate(rig)
    assert set(inputs).isdisjoint(held_out)
    for seed in range(30):
        split = policy.train(rig, seed=seed)
        assert set(held_out).isdisjoint(split.inputs + split.targets)
        assert len(set(split.inputs)) == len(split.inputs) > 0
        again = type(policy)(policy.config)
        # A resumed run asks a fresh object for a step out of order.
        assert again.train(rig, seed=seed) == split
    assert policy.evaluate(rig) == (inputs, held_out)


def test_ring_order_is_that_of_the_azimuths():
    assert ring_order(RIG, start_deg=-180) == [0, 5, 3, 1, 2, 4]
    # From the front at 270 = -90 degrees: -64, -11, 34, 86, 144, -147.
    assert ring_order(RIG) == [5, 3, 1, 2, 4, 0]
    moved = ring([-147, 34, 86, -11, 144, -64], center=(3.0, -9.0, 1.0), elevation_deg=20)
    assert ring_order(moved) == [5, 3, 1, 2, 4, 0]
    assert ring_order(ring([270, 180, 90, 0])) == [0, 3, 2, 1]


def test_pick_evenly():
    assert pick_evenly([5, 3, 1, 2, 4, 0], 2) == [5, 2]
    assert pick_evenly([5, 3, 1, 2, 4, 0], 3, offset=0.5) == [3, 2, 0]
    assert pick_evenly([7, 8], 2) == [7, 8]


def test_sorted_does_not_depend_on_the_order_of_files():
    policy = Sorted(SortedConfig(inputs=3, held_out=2))
    shuffled = [4, 0, 3, 5, 2, 1]
    other = RIG[np.array(shuffled)]
    for choose in (lambda rig: policy.train(rig, seed=0), policy.evaluate):
        there = [tuple(shuffled[view] for view in part) for part in choose(other)]
        assert there == list(choose(RIG))
    # The ring is 5, 3, 1, 2, 4, 0; every third from the second on is held out.
    assert policy.evaluate(RIG) == ((5, 1, 2), (3, 4))
    assert policy.train(RIG, seed=7) == ((5, 1, 2), (5, 1, 2, 0))


@pytest.mark.golden
def test_overlap_is_the_published_choice():
    golden = json.loads(shared_path("reference/gslrm_tiny_misc.json").read_text())["select_views"]
    frames = json.loads(shared_path("data/facelift_gslrm_sample/opencv_cameras.json").read_text())[
        "frames"
    ]
    centers = np.stack([np.linalg.inv(np.array(one["w2c"], dtype=np.float64)) for one in frames])
    count, views = golden["num_input_views"], golden["num_views"]
    assert len(golden["by_python_random_seed"]) == 8
    for seed, wanted in golden["by_python_random_seed"].items():
        found = choose_overlapping(
            centers[:, :3, 3], count, views - count, random.Random(int(seed))
        )
        assert found is not None
        assert [*found[0], *found[1]] == wanted


def test_the_published_limit_forgets_the_distance():
    # At 2.7 the product of centres is 0.5 at acos(0.5 / 7.29) = 86.07 degrees.
    centers = np.asarray(ring([0, 60, 86, 87, 180]).centers)
    assert near_enough(centers, [0]) == [1, 2]
    assert near_enough(centers, [0], max_angle_deg=60) == [1]
    assert near_enough(centers, [0], max_angle_deg=90) == [1, 2, 3]
    assert near_enough(centers, [0, 4], max_angle_deg=95) == [1, 2, 3]
    # Raw units of some hundred make the published rule admit all in front.
    assert near_enough(100 * centers, [0]) == [1, 2, 3]


def test_overlapping_targets_are_near_some_input():
    policy = MaximizeViewOverlap(OverlapConfig(inputs=2, extra=2, held_out=2, max_angle_deg=46))
    rig = ring(np.arange(16) * 22.5)
    azimuths = np.arange(16) * 22.5
    for seed in range(40):
        inputs, targets = policy.train(rig, seed=seed)
        assert targets[:2] == inputs == tuple(sorted(inputs))
        for extra in targets[2:]:
            away = np.abs((azimuths[extra] - azimuths[list(inputs)] + 180) % 360 - 180)
            assert away.min() <= 46


def test_overlap_without_neighbours_says_so():
    policy = MaximizeViewOverlap(OverlapConfig(inputs=1, extra=1, max_angle_deg=10))
    with pytest.raises(DataError, match=r"expected 1 views near 1 inputs, got fewer in 100 draws"):
        policy.train(SIX, seed=0)


def test_rotating_leaves_every_view_out_in_turn_and_tests_every_view_once():
    rig, tested = ring(np.arange(6) * 60), []
    for fold in range(6):
        policy = Rotating(RotatingConfig(fold=fold))
        held_out = policy.evaluate(rig).targets
        tested += held_out
        novel, fed = set(), set()
        for seed in range(60):
            inputs, targets = policy.train(rig, seed=seed)
            (left_out,) = set(targets) - set(inputs)
            assert set(targets) == set(range(6)) - set(held_out)
            novel.add(left_out)
            fed |= set(inputs)
        assert novel == fed == set(range(6)) - set(held_out)
    assert sorted(tested) == list(range(6))


def test_rotating_by_hand():
    policy = Rotating(RotatingConfig(inputs=2, left_out=2, targets="left_out", held_out=2, fold=1))
    # The ring is 5, 3, 1, 2, 4, 0 in three folds of opposite views: (5, 2), (3, 4), (1, 0).
    assert policy.evaluate(RIG).targets == (3, 4)
    for seed in range(20):
        inputs, targets = policy.train(RIG, seed=seed)
        assert sorted(inputs + targets) == [0, 1, 2, 5]
        assert len(inputs) == len(targets) == 2


def test_dense_rings_compare_with_at_most_eight_views():
    rig = ring(np.arange(32) * 11.25)
    for policy in (Sorted(SortedConfig()), Rotating(RotatingConfig(left_out=3))):
        held_out = set(policy.evaluate(rig).targets)
        for seed in range(10):
            inputs, targets = policy.train(rig, seed=seed)
            assert (len(inputs), len(set(targets))) == (4, 8)
            assert held_out.isdisjoint(targets)
    for seed in range(10):
        inputs, targets = policy.train(rig, seed=seed)
        assert len(set(targets) - set(inputs)) >= 3


def test_a_fold_that_does_not_exist_is_refused():
    policy = Rotating(RotatingConfig(inputs=3, held_out=2, fold=3))
    with pytest.raises(DataError, match=r"expected fold from 0 to 2, as 6 views make 3 folds of 2"):
        policy.evaluate(SIX)


def test_the_reference_comes_first_and_nothing_is_there_to_copy():
    policy = Reference(ReferenceConfig(inputs=3, held_out=1))
    for seed in range(30):
        inputs, targets = policy.train(SIX, seed=seed)
        assert inputs[0] == 0
        assert len(inputs) == 3
        assert set(inputs).isdisjoint(targets)
        assert len(targets) == 2
    assert policy.evaluate(SIX).inputs[0] == 0
    alone = Reference(ReferenceConfig())
    assert alone.train(SIX, seed=0) == ((0,), (1, 2, 3, 4))


@pytest.mark.parametrize("view", ["random", 1, [0, 3], None, True])
def test_another_reference_is_refused_with_the_reason(view):
    with pytest.raises(ValidationError, match="its own target in turn, and the network learns to"):
        ReferenceConfig(view=view)


def test_a_reference_cannot_be_held_out():
    with pytest.raises(ValidationError, match="without view 0, the reference"):
        ReferenceConfig(held_out=[0, 2])
    # Six of seven views would leave the reference alone, with nothing to compare with.
    policy = Reference(ReferenceConfig(held_out=6))
    with pytest.raises(DataError, match=r"reference: expected at least 8 views, got 7"):
        policy.evaluate(ring(np.arange(7) * 50))
    # Four of six, spread from the last on: 5, 2 opposite, then 0, the reference.
    policy = Reference(ReferenceConfig(held_out=4))
    with pytest.raises(DataError, match=r"view 0, the reference, among the inputs, got it held"):
        policy.evaluate(SIX)


def test_cameras_fail_as_often_as_the_rate_says():
    policy = CameraDropout(CameraDropoutConfig(inputs=4, least=1, rate=0.3))
    counts = np.array([len(policy.train(SIX, seed=seed).inputs) for seed in range(2000)])
    # Binomial with 4 trials of 0.7, its zeros lifted to one: mean 2.8 + 0.3^4, one sigma 0.02.
    assert counts.mean() == pytest.approx(2.8 + 0.3**4, abs=0.1)
    assert set(counts) == {1, 2, 3, 4}
    assert (counts == 4).mean() == pytest.approx(0.7**4, abs=0.05)


def test_cameras_fail_in_step_within_a_batch():
    policy = CameraDropout(CameraDropoutConfig(inputs=4, least=2))
    assert isinstance(policy, BatchViewPolicy)
    assert not any(isinstance(one, BatchViewPolicy) for one in ALL[:4])
    seen = set()
    for step in range(30):
        seeds = [3 * step, 3 * step + 1, 3 * step + 2]
        splits = policy.train_batch([SIX, RIG, SIX], seeds=seeds)
        assert len({len(one.inputs) for one in splits}) == 1
        assert {len(one.targets) for one in splits} == {5}
        assert policy.train_batch([SIX, RIG, SIX], seeds=seeds) == splits
        seen.add(len(splits[0].inputs))
    assert seen == {2, 3, 4}
    assert policy.train(SIX, seed=5) == policy.train_batch([SIX], seeds=[5])[0]


@pytest.mark.parametrize("policy", ALL)
def test_too_few_views_are_one_line(policy):
    two = SIX[np.array([0, 1])]
    for choose in (lambda: policy.train(two, seed=0), lambda: policy.evaluate(two)):
        with pytest.raises(DataError, match=r"view_policies\.\w+: expected at least \d views") as e:
            choose()
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (SortedConfig, {"inputs": 0}, "inputs"),
        (SortedConfig, {"start_deg": 400}, "start_deg"),
        (OverlapConfig, {"extra": -1}, "extra"),
        (OverlapConfig, {"max_angle_deg": 0}, "max_angle_deg"),
        (OverlapConfig, {"held_out": [1, 1]}, "got 1 twice"),
        (RotatingConfig, {"fold": -1}, "fold"),
        (RotatingConfig, {"targets": "some"}, "targets"),
        (ReferenceConfig, {"inputs": 0}, "inputs"),
        (CameraDropoutConfig, {"rate": 1.0}, "rate"),
        (CameraDropoutConfig, {"inputs": 3, "least": 3}, "no input could fail"),
        (CameraDropoutConfig, {"seed": 1}, "seed"),
    ],
)
def test_settings_are_checked(model, settings, message):
    with pytest.raises(ValidationError, match=message):
        model(**settings)


def test_tensors_are_cameras_too():
    import torch

    as_tensors = Cameras(
        torch.tensor(RIG.c2w).float(), torch.tensor(RIG.fxfycxcy).float(), height=48, width=48
    )
    for policy in ALL:
        assert policy.evaluate(as_tensors) == policy.evaluate(RIG)
        assert policy.train(as_tensors, seed=1) == policy.train(RIG, seed=1)
