import math

import pytest
import torch
from torch import nn

from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin import Pace
from mfl_adapt.train.optim import build_optimizer, warmup_cosine


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.5), (110, 0.0), (200, 0.0)],
)
def test_warmup_cosine_by_hand(step: int, expected: float) -> None:
    assert warmup_cosine(step, steps=110, warmup=10) == pytest.approx(expected, abs=1e-12)


def test_no_warmup_starts_at_the_full_rate() -> None:
    assert warmup_cosine(0, steps=100, warmup=0) == 1.0


def test_first_step_moves_the_weights_by_the_warmed_up_rate() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer, _ = build_optimizer([weight], lr=0.1, weight_decay=0.0, steps=10, warmup=4)
    weight.sum().backward()
    optimizer.step()
    # Adam's first step has the size of the rate, whatever the gradient.
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 1 - 0.1 / 4), rtol=0, atol=1e-6)


def test_vectors_are_not_decayed_and_frozen_ones_are_left_out() -> None:
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer, _ = build_optimizer(
        [matrix, vector, frozen], lr=1.0, weight_decay=0.05, steps=1, warmup=0
    )
    groups = [(group["weight_decay"], group["params"]) for group in optimizer.param_groups]
    assert groups == [(0.05, [matrix]), (0.0, [vector])]


def test_nothing_trainable_is_an_error() -> None:
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    with pytest.raises(TrainingError, match="got none"):
        build_optimizer([frozen], lr=1.0, weight_decay=0.0, steps=1, warmup=0)


def test_schedule_ends_near_zero() -> None:
    weight = nn.Parameter(torch.ones(1, 1))
    optimizer, schedule = build_optimizer([weight], lr=1.0, weight_decay=0.0, steps=50, warmup=5)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 44 / 45)))


def test_paces_multiply_the_rate_and_the_first_group_has_that_of_the_run() -> None:
    a, b, vector = (nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2, 2), (2,)))
    frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)
    optimizer, schedule = build_optimizer(
        [b, frozen, a, vector],
        lr=0.1,
        weight_decay=0.05,
        steps=10,
        warmup=2,
        paces=[Pace(rate=16.0), Pace(rate=3.0), Pace(), Pace(rate=16.0)],
    )
    groups = [(group["params"], group["weight_decay"]) for group in optimizer.param_groups]
    assert groups == [([a], 0.05), ([b], 0.05), ([vector], 0.0)]
    assert schedule.get_last_lr() == pytest.approx([0.05, 0.8, 0.8])
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.1, 1.6, 1.6])


def test_a_faster_weight_moves_further_by_the_ratio() -> None:
    slow, fast = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer, _ = build_optimizer(
        [slow, fast],
        lr=0.01,
        weight_decay=0.0,
        steps=10,
        warmup=0,
        paces=[Pace(), Pace(rate=4.0)],
    )
    (slow.sum() + fast.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(1 - fast.detach(), 4 * (1 - slow.detach()), rtol=1e-4, atol=0)


def test_a_matrix_may_be_spared_the_decay() -> None:
    scale = nn.Parameter(torch.ones(3, 1))
    optimizer, _ = build_optimizer(
        [scale], lr=0.1, weight_decay=0.5, steps=10, warmup=0, paces=[Pace(decay=False)]
    )
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0]


def test_every_parameter_needs_a_pace() -> None:
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="shorter"):
        build_optimizer([weight], lr=1.0, weight_decay=0.0, steps=1, warmup=0, paces=[])
