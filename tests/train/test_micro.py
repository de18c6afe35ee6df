"""A batch in parts is the step of the whole batch."""

import json
from types import SimpleNamespace

import pytest
import torch
from small_runs import run_small
from torch import nn

from mfl_adapt.config.models import Train
from mfl_adapt.errors import TrainingError
from mfl_adapt.train.micro import MicroBatches, check_micro, open_micro, take
from mfl_adapt.train.tasks import Outcome
from mfl_adapt.types import Batch, Cameras, ViewBatch


def whole_batch(samples):
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


def learner(network, seen):
    def learn(batch):
        seen.append(batch.ids)
        error = (network(batch.inputs.rgb) - batch.targets.rgb).square().mean(dim=(1, 2, 3, 4))
        mean = error.mean()
        return Outcome(mean, {"l2": float(mean.detach())}, float(len(batch.ids)))

    return learn


def accelerator(factor=None):
    scaler = None if factor is None else SimpleNamespace(get_scale=lambda: factor)
    return SimpleNamespace(scaler=scaler)


@pytest.mark.parametrize(("samples", "size"), [(2, 1), (4, 2), (5, 2)])
@pytest.mark.parametrize("factor", [None, 1024.0])
def test_gradients_and_loss_are_those_of_the_whole_batch(network, samples, size, factor):
    batch, parameters, seen = whole_batch(samples), list(network.parameters()), []
    expected = learner(network, [])(batch)
    expected.loss.backward()
    grads = [one.grad.clone() for one in parameters]
    network.zero_grad()
    micro = MicroBatches(size, accelerator(factor))
    outcome = micro.forward(learner(network, seen), batch, parameters)
    outcome.loss.backward()
    for parameter, grad in zip(parameters, grads, strict=True):
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-5, atol=1e-7)
    assert float(outcome.loss.detach()) == pytest.approx(float(expected.loss.detach()), rel=1e-6)
    assert outcome.parts["l2"] == pytest.approx(expected.parts["l2"], rel=1e-6)
    assert max(len(ids) for ids in seen) == size
    assert [name for ids in seen for name in ids] == list(batch.ids)


def test_a_part_that_is_smaller_counts_less(network):
    batch = whole_batch(3)
    micro = MicroBatches(2, accelerator())
    outcome = micro.forward(learner(network, []), batch, list(network.parameters()))
    # The quality is 2 for the part of two samples and 1 for the last one.
    assert outcome.foreground_psnr_db == pytest.approx((2 + 2 + 1) / 3)


def test_some_samples_of_a_batch():
    batch = whole_batch(3)
    part = take(batch, slice(1, 3))
    assert part.ids == ("s1", "s2")
    assert torch.equal(part.inputs.rgb, batch.inputs.rgb[1:])
    assert part.targets.cameras.shape == (2, 2)


@pytest.mark.parametrize(("size", "divides"), [(None, False), (2, False), (3, False), (1, True)])
def test_only_smaller_parts_divide_a_batch(size, divides):
    settings = Train(batch=2, micro_batch=size)
    assert (open_micro(settings, accelerator()) is not None) is divides


def test_a_base_of_views_refuses():
    check_micro(Train(), "x.views")
    with pytest.raises(
        TrainingError, match=r"train\.micro_batch: expected null for x\.views.*got 1"
    ):
        check_micro(Train(micro_batch=1), "x.views")


FEW = (
    "data.reader.num_views=6",
    "train.batch=3",
    "train.steps=1",
    "train.sample_every=100",
    "evaluate.retention=0",
    "evaluate.samples=1",
)


def test_a_run_learns_the_same(tmp_path):
    def losses(name, *overrides):
        result = run_small(tmp_path, f"name={name}", *FEW, *overrides)
        lines = (result.session.folder.path / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    whole, parts = losses("whole"), losses("parts", "train.micro_batch=2")
    assert len(parts) == 1
    assert parts == pytest.approx(whole, rel=1e-5)
