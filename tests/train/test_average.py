"""The moving average: its formula by hand, and that it can be put on and taken off."""

import pytest
import torch
from torch import nn

from mfl_adapt.train.average import MovingAverage


def weights(*values):
    return [nn.Parameter(torch.tensor(value)) for value in values]


def test_updates_by_hand():
    (live,) = parameters = weights([0.0, 10.0])
    average = MovingAverage(parameters, 0.9999)
    # Shares kept of the average: 1/10, 2/11, 3/12.
    expected = torch.tensor([0.0, 10.0])
    for k, value in enumerate([[1.0, 0.0], [2.0, 5.0], [3.0, 5.0]]):
        with torch.no_grad():
            live.copy_(torch.tensor(value))
        average.update()
        keep = (1 + k) / (10 + k)
        expected = keep * expected + (1 - keep) * torch.tensor(value)
    with average.applied():
        torch.testing.assert_close(live.detach(), expected)
    assert live.tolist() == [3.0, 5.0]


def test_decay_is_the_greatest_share():
    (live,) = parameters = weights([1.0])
    average = MovingAverage(parameters, 0.05)
    with torch.no_grad():
        live.fill_(0.0)
    average.update()
    with average.applied():
        assert live.item() == pytest.approx(0.05)


def test_an_error_inside_gives_the_weights_back():
    (live,) = parameters = weights([1.0])
    average = MovingAverage(parameters, 0.5)
    with torch.no_grad():
        live.fill_(2.0)

    def fail():
        with average.applied():
            assert live.item() == 1.0
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert live.item() == 2.0


def test_settled_it_is_the_weights():
    (live,) = parameters = weights([1.0])
    average = MovingAverage(parameters, 0.5)
    with torch.no_grad():
        live.fill_(2.0)
    average.settle()
    assert live.item() == 1.0
    assert live.requires_grad
