"""Terms that count at some steps only: what is computed, weighed and logged."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mfl_adapt_view_policies.config import CameraDropoutConfig
from mfl_adapt_view_policies.dropout import CameraDropout
from small_runs import run_small

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.config import LossSchedule
from mfl_adapt.data import StepSampler
from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin import LossContext
from mfl_adapt.train.objective import build_objective
from mfl_adapt.train.views import next_batch
from mfl_adapt.types import RigContract, Sample, View

CONTRACT = RigContract(size=8, patch=8, depth_reach=1.8)
PICTURES, MASK = torch.zeros(2, 3, 3, 8, 8), torch.ones(2, 3, 1, 8, 8)


class Constant:
    """A loss that remembers when it was asked."""

    def __init__(self, value):
        self.value, self.steps = value, []

    def __call__(self, pred, target, mask, context):
        self.steps.append(context.step)
        return torch.full(pred.shape[:2], self.value)


def test_a_term_is_computed_weighed_and_logged_only_when_it_counts():
    first, second = Constant(1.0), Constant(10.0)
    objective = build_objective([
        ("a.first", 1.0, first, LossSchedule(stop=3)),
        ("a.second", 0.5, second, LossSchedule(start=1, ramp=4)),
    ])
    totals, logged = [], []
    for step in range(6):
        total, parts = objective(PICTURES, PICTURES, MASK, LossContext(CONTRACT, step))[:2]
        totals.append(float(total))
        logged.append(sorted(parts))
    assert totals == pytest.approx([1, 1 + 1.25, 1 + 2.5, 3.75, 5, 5])
    assert logged == [["a.first"]] + 2 * [["a.first", "a.second"]] + 3 * [["a.second"]]
    assert (first.steps, second.steps) == ([0, 1, 2], [1, 2, 3, 4, 5])


def test_a_step_without_any_term_says_so():
    objective = build_objective([("a.x", 1.0, Constant(1.0), LossSchedule(start=5))])
    with pytest.raises(TrainingError, match="expected a term that counts at step"):
        objective(PICTURES, PICTURES, MASK, LossContext(CONTRACT, 2))


def sample_of_six(name):
    """A grey sample on a ring of six cameras."""
    rig, grey = facelift_ring(6, size=16), np.full((16, 16, 3), 128, np.uint8)
    views = [
        View(f"cam_{index}", grey, grey[..., 0], rig.c2w[index], rig.fxfycxcy[index])
        for index in range(6)
    ]
    return Sample(name, tuple(views))


def test_a_batch_of_failing_cameras_can_be_stacked():
    samples = [sample_of_six(name) for name in "abc"]
    data = SimpleNamespace(
        samples=SimpleNamespace(pick=lambda indices: tuple(samples[one] for one in indices)),
        policy=CameraDropout(CameraDropoutConfig(inputs=4, least=1, rate=0.5)),
        contract=CONTRACT,
    )
    sampler = StepSampler(range(3), batch=3, seed=0)
    counts = {next_batch(data, sampler, step).inputs.rgb.shape[1] for step in range(20)}
    assert counts == {1, 2, 3, 4}
    again, batch = (next_batch(data, StepSampler(range(3), batch=3, seed=0), 7) for _ in range(2))
    assert torch.equal(again.inputs.rgb, batch.inputs.rgb)
    assert torch.equal(again.targets.cameras.c2w, batch.targets.cameras.c2w)


@pytest.mark.slow
def test_a_run_with_schedules_position_losses_and_failing_cameras(tmp_path):
    pointsdist, l2 = "losses.facelift_loss.pointsdist", "losses.facelift_loss.l2"
    run_small(
        tmp_path,
        f"{pointsdist}.weight=0.1",
        f"{pointsdist}.schedule.stop=2",
        f"{l2}.weight=1",
        f"{l2}.schedule.start=1",
        "data.views.use=view_policies.camera_dropout",
        "evaluate.retention=0",
        "evaluate.samples=1",
        "data.reader.samples=3",
        "data.split.validation=0.34",
    )
    (path,) = tmp_path.rglob("metrics.jsonl")
    rows = [json.loads(line)["parts"] for line in path.read_text().splitlines()]
    counted = [{name for name in row if name.startswith("facelift_loss")} for row in rows]
    assert counted == [
        {"facelift_loss.pointsdist"},
        {"facelift_loss.pointsdist", "facelift_loss.l2"},
        {"facelift_loss.l2"},
    ]
    assert all(value > 0 for row in rows for value in row.values())
