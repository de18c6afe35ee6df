import pytest
import torch
from torch import Tensor

from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin import LossContext
from mfl_adapt.train.objective import Objective, Term
from mfl_adapt.types import RigContract

CONTEXT = LossContext(contract=RigContract(size=8, patch=8, depth_reach=1.8), step=7)
PICTURES = torch.zeros(2, 3, 3, 8, 8)
MASK = torch.ones(2, 3, 1, 8, 8)


def constant(value: float):
    def loss(pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        return torch.full(pred.shape[:2], value)

    return loss


def test_sum_is_weighted_and_parts_are_not() -> None:
    objective = Objective((Term("a.x", 2.0, constant(0.5)), Term("b.y", 0.1, constant(3.0))))
    total, parts, _ = objective(PICTURES, PICTURES, MASK, CONTEXT)
    assert float(total) == pytest.approx(2.0 * 0.5 + 0.1 * 3.0)
    assert parts == {"a.x": pytest.approx(0.5), "b.y": pytest.approx(3.0)}


def test_no_term_is_an_error() -> None:
    with pytest.raises(TrainingError, match="at least one term"):
        Objective(())


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weight_must_be_positive(weight: float) -> None:
    with pytest.raises(TrainingError, match=r"losses\.a\.x: expected a weight above 0"):
        Objective((Term("a.x", weight, constant(1.0)),))


def test_reduced_loss_names_the_term() -> None:
    objective = Objective((Term("a.x", 1.0, lambda *_: torch.zeros(())),))
    with pytest.raises(TrainingError, match=r"losses\.a\.x: expected one value per view \[2, 3\]"):
        objective(PICTURES, PICTURES, MASK, CONTEXT)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_loss_names_term_and_step(value: float) -> None:
    objective = Objective((Term("a.x", 1.0, constant(value)),))
    with pytest.raises(TrainingError, match=r"losses\.a\.x: .* at step 8, got (nan|inf)"):
        objective(PICTURES, PICTURES, MASK, CONTEXT)
