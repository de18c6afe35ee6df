"""What guards measure, on pictures small enough to compute by hand."""

import math

import pytest
import torch

from mfl_adapt.train.guards.measures import (
    find_gradients,
    join_measures,
    mean_of_known,
    measure_gaussians,
    measure_pictures,
)
from mfl_adapt.types import Gaussians, RigContract

# One view of 2 x 4 pixels: the left half is the subject, one column dark and one light.
MASK = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(1, 1, 1, 2, 4)
TARGET = torch.tensor([[0.2, 0.6, 1.0, 1.0]]).expand(1, 1, 3, 2, 4)


def filled(value: float) -> torch.Tensor:
    """The target with the subject in one grey."""
    return torch.where(MASK > 0.5, torch.tensor(value), TARGET)


def measure(pred: torch.Tensor) -> dict[str, float]:
    return measure_pictures(pred, TARGET, MASK, 1.0)


def test_equal_pictures_measure_one():
    assert measure(TARGET) == pytest.approx({
        "mask_share": 0.5,
        "background": 1.0,
        "variance": 1.0,
        "edges": 1.0,
    })


def test_a_white_picture_has_nothing():
    assert measure(torch.ones_like(TARGET)) == pytest.approx({
        "mask_share": 0.5,
        "background": 0.0,
        "variance": 0.0,
        "edges": 0.0,
    })


def test_a_mean_colour_stands_out_but_has_no_variance():
    found = measure(filled(0.4))
    # (0.6^2) over the mean of 0.8^2 and 0.4^2; one step of 0.6 where there were two of 0.4.
    assert found["background"] == pytest.approx(0.36 / 0.4)
    assert found["variance"] == pytest.approx(0.0, abs=1e-9)
    assert found["edges"] == pytest.approx(0.36 / (2 * 0.16))


def test_what_cannot_be_shown_does_not_count():
    assert measure(TARGET * 1.0 + (1 - MASK) * 5)["edges"] == pytest.approx(1.0)


def test_nothing_is_said_where_nothing_can_be():
    white = torch.ones_like(TARGET)
    found = measure_pictures(white, white, MASK, 1.0)
    assert math.isnan(found["background"])
    assert math.isnan(found["variance"])
    assert math.isnan(found["edges"])
    empty = measure_pictures(TARGET, TARGET, torch.zeros_like(MASK), 1.0)
    assert empty["mask_share"] == 0
    assert math.isnan(empty["background"])


def test_gaussians_at_the_end_and_cover():
    means = torch.tensor([[[0.0, 0.0, 0.5], [0.0, 1.79, 0.0], [2.0, 2.0, 0.0]]])
    opacities = torch.tensor([[0.5, 0.2, 0.3]])
    three, four = torch.ones(1, 3, 3), torch.ones(1, 3, 4)
    gaussians = Gaussians(means, four, three, opacities, torch.ones(1, 3, 1, 3))
    alpha = torch.tensor([[0.1, 0.3, 0.9, 0.9]]).expand(1, 1, 1, 2, 4)
    contract = RigContract(size=8, patch=8, depth_reach=1.8)
    found = measure_gaussians(gaussians, alpha, MASK, contract)
    assert found == pytest.approx({"cover": 0.2, "beyond": 0.5})


def test_gradients_of_terms():
    first = torch.ones(2, requires_grad=True)
    second = (first * 2).requires_grad_()
    values = {
        "through the first": (first**2).sum(),
        "through the second": second.sum(),
        "clamped": (first + 5).clamp(0, 1).sum(),
        "apart": torch.tensor(3.0),
    }
    asked = [*values, "not computed in this step"]
    assert find_gradients(values, asked, (second,), (first,)) == {
        "through the first": True,
        "through the second": True,
        "clamped": False,
        "apart": False,
    }
    # Looking leaves the graph whole and no gradients behind.
    assert first.grad is None
    sum(values.values()).backward()
    assert first.grad.tolist() == [4.0, 4.0]


def test_means_leave_out_what_says_nothing():
    nan = float("nan")
    assert join_measures([{"a": 1.0, "b": nan}, {"a": nan, "b": nan}]) == pytest.approx(
        {"a": 1.0, "b": nan}, nan_ok=True
    )
    assert join_measures([{}, {}]) == {}
    assert mean_of_known([1.0, nan, 3.0]) == 2.0
