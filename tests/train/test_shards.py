"""Samples side by side give what the whole batch gives, the same bits each time."""

import pytest
import torch
from torch import nn

from mfl_adapt.errors import TrainingError
from mfl_adapt.train.shards import Shards, open_shards
from mfl_adapt.train.tasks import Outcome
from mfl_adapt.types import Batch, Cameras, ViewBatch

CPU = torch.device("cpu")


def make_batch(samples):
    generator = torch.Generator().manual_seed(0)
    rgb = torch.rand(samples, 2, 3, 8, 8, generator=generator)
    poses = torch.eye(4).expand(samples, 2, 4, 4)
    cameras = Cameras(poses, torch.ones(samples, 2, 4), height=8, width=8)
    views = ViewBatch(rgb, torch.ones(samples, 2, 1, 8, 8), cameras)
    return Batch(tuple(f"s{index}" for index in range(samples)), views, views)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def singles(samples):
    batch = make_batch(samples)
    return [batch.pick(index) for index in range(samples)]


def learn(network, batch):
    """Mean over samples, as every loss of the library is."""
    error = (network(batch.inputs.rgb) - batch.targets.rgb).square().mean(dim=(1, 2, 3, 4))
    return Outcome(error.mean(), {"l2": float(error.detach().mean())}, 20.0 + len(batch.ids))


@pytest.mark.parametrize("samples", [2, 3])
def test_gradients_are_those_of_the_whole_batch(network, samples):
    batch, parameters = make_batch(samples), list(network.parameters())
    learn(network, batch).loss.backward()
    whole = [one.grad.clone() for one in parameters]
    network.zero_grad()
    outcome = Shards(2).forward(lambda one: learn(network, one), singles(samples), parameters)
    outcome.loss.backward()
    for parameter, expected in zip(parameters, whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-7)
    assert outcome.parts["l2"] == pytest.approx(float(outcome.loss.detach()))
    assert outcome.foreground_psnr_db == 21.0


def test_the_same_bits_each_time(network):
    batch, parameters, shards = singles(4), list(network.parameters()), Shards(2)
    found = []
    for _ in range(10):
        network.zero_grad()
        shards.forward(lambda one: learn(network, one), batch, parameters).loss.backward()
        found.append(torch.cat([one.grad.flatten() for one in parameters]))
    assert all(torch.equal(found[0], one) for one in found[1:])


def test_a_parameter_without_a_part_in_the_loss_gets_no_gradient(network):
    idle = nn.Parameter(torch.ones(3))
    parameters = [*network.parameters(), idle]
    Shards(2).forward(lambda one: learn(network, one), singles(2), parameters).loss.backward()
    assert idle.grad is None
    assert all(one.grad is not None for one in network.parameters())


def test_an_error_of_one_sample_comes_out(network):
    def compute(one):
        if one.ids == ("s1",):
            raise TrainingError("losses.x: expected a finite number")
        return learn(network, one)

    with pytest.raises(TrainingError, match=r"losses\.x"):
        Shards(2).forward(compute, singles(2), list(network.parameters()))
    assert torch.get_num_threads() == 2


def test_samples_without_a_mask_do_not_enter_the_quality(network):
    def compute(one):
        outcome = learn(network, one)
        return Outcome(outcome.loss, outcome.parts, 18.0 if one.ids == ("s0",) else float("nan"))

    outcome = Shards(2).forward(compute, singles(2), list(network.parameters()))
    assert outcome.foreground_psnr_db == 18.0


def test_one_thread_per_sample_only_where_it_is_right(network):
    assert open_shards(network, CPU, 2) is not None
    assert open_shards(network, CPU, 1) is None
    assert open_shards(network, torch.device("cuda"), 2) is None
    assert open_shards(nn.Sequential(network, nn.Dropout(0.1)), CPU, 2) is None
    assert open_shards(nn.Sequential(network, nn.Dropout(0.0)), CPU, 2) is not None
    torch.set_num_threads(1)
    assert open_shards(network, CPU, 2) is None
