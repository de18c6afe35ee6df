"""Where the time of a step goes, with a clock that the tests turn."""

import threading

import pytest
import torch
from torch import nn

from mfl_adapt.plugin import LocalLoss
from mfl_adapt.train.stopwatch import PARTS, Stopwatch, WatchedLoss, WatchedTask
from mfl_adapt.train.tasks import Outcome


class Clock(Stopwatch):
    """A stopwatch whose time only goes on when a test says so."""

    def __init__(self, *, renders=True):
        super().__init__(torch.device("cpu"), renders=renders)
        self.time = 0.0

    def now(self):
        return self.time


def run_step(watch, network, loss, *, parts=1, backward=8.0):
    """Two terms on what the network makes, in so many parts; each thing takes its own time."""
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.ones(1)

    class Task:
        def forward(self, step, look):
            for _ in range(parts):
                watch.time += 1
                network(torch.ones(1))
                watch.time += 4
                for _ in range(2):
                    loss(*[None] * 4)
                if parts > 1:
                    watch.time += backward
            return Outcome(weight.sum(), {})

    task = WatchedTask(Task(), watch.forward_done)
    with watch.on(network, optimizer), watch.step():
        task.forward(0)
        watch.time += backward
        optimizer.step()
        watch.time += 16
    return watch.steps[-1]


class Network(nn.Module):
    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def forward(self, x):
        self.watch.time += 2
        return x


def make(watch):
    def loss(pred, target, mask, context):
        watch.time += 0.5
        return "value"

    return WatchedLoss(loss, watch)


def test_every_part_gets_its_time():
    watch = Clock()
    found = run_step(watch, Network(watch), make(watch))
    expected = {"data": 1, "forward": 2, "render": 4, "losses": 1, "backward": 8, "optimizer": 16}
    assert found == expected
    assert tuple(found) == PARTS
    assert sum(found.values()) == watch.time


def test_samples_one_after_the_other_go_back_at_once():
    watch = Clock()
    found = run_step(watch, Network(watch), make(watch), parts=3)
    assert found["forward"] == 6
    assert found["render"] == 12
    # The data of the second and third part are there; what lies between is their backward pass.
    assert found["backward"] == 3 * 8 + 8 + 2
    assert sum(found.values()) == watch.time


def test_nothing_is_rendered_where_views_are_made():
    watch = Clock(renders=False)
    found = run_step(watch, Network(watch), make(watch))
    assert "render" not in found
    assert found["losses"] == 5


def test_threads_are_averaged():
    watch = Clock()
    # A thread that has ended gives its number to the next one, so both stay until both are done.
    both = threading.Barrier(3)
    with watch.step():
        for seconds in (2.0, 4.0):
            worked = threading.Event()

            def work(seconds=seconds, worked=worked):
                watch.time = 1.0
                watch.mark("network")
                watch.time = 1.0 + seconds
                watch.mark("network done")
                worked.set()
                both.wait()

            threading.Thread(target=work).start()
            worked.wait()
        both.wait()
        watch.time = 6.0
        watch.forward_done()
        watch.backward_done()
    found = watch.steps[-1]
    assert found["forward"] == 3.0
    assert found["data"] == 1.0
    assert found["backward"] == 2.0


def test_hooks_are_gone_afterwards():
    watch = Clock()
    network = Network(watch)
    run_step(watch, network, make(watch))
    network(torch.ones(1))
    assert not network._forward_hooks
    assert not network._forward_pre_hooks


def test_a_loss_in_its_shell_is_as_local_as_before():
    class Local:
        reach_px = 3

        def __call__(self, pred, target, mask, context):
            return pred

    shell = WatchedLoss(Local(), Clock())
    assert isinstance(shell, LocalLoss)
    assert shell.reach_px == 3
    assert not isinstance(make(Clock()), LocalLoss)
    assert shell("pred", None, None, None) == "pred"


@pytest.mark.parametrize("name", PARTS)
def test_steps_without_marks_are_all_optimizer(name):
    watch = Clock()
    with watch.step():
        watch.time = 5.0
    assert watch.steps[0][name] == (5.0 if name == "optimizer" else 0.0)
