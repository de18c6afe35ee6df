"""One optimizer step: forward, backward, clip, step."""

from __future__ import annotations

import math
import time

from accelerate import Accelerator

from mfl_adapt.config.models import Train
from mfl_adapt.train.learner import Learner
from mfl_adapt.train.records import Step
from mfl_adapt.train.tasks import Task


def take_step(
    task: Task, learner: Learner, accelerator: Accelerator, settings: Train
) -> Step | None:
    """Take the next step of a run, under the eyes of its guards.

    Args:
        task: Turns the number of a step into a loss.
        learner: Its weights, schedule and count move on.
        accelerator: Device and number format.
        settings: Of the loop.

    Returns:
        None if an fp16 gradient overflowed: the weights stayed, and the same step is to be tried
        again.
    """
    started, number = time.perf_counter(), learner.done + 1
    look = learner.watch.look(number)
    outcome = task.forward(learner.done, look)
    accelerator.backward(learner.joiner.weigh(outcome.loss))
    outcome = learner.joiner.join(outcome, learner.parameters, list(learner.buffers.values()))
    norm = float(accelerator.clip_grad_norm_(learner.parameters, settings.clip))
    factor = None if accelerator.scaler is None else accelerator.scaler.get_scale()
    learner.watch.take_gradient(norm, number, factor)
    rates = learner.schedule.get_last_lr()
    learner.watch.take_rates(rates, number)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    if not math.isfinite(norm):
        # The factor was too large and it was halved; schedule, average and count stand still.
        return None
    learner.schedule.step()
    if learner.average is not None:
        learner.average.update()
    learner.watch.take_step(number, outcome.measures, outcome.gradients)
    learner.done = number
    seconds = time.perf_counter() - started
    return Step.of(outcome, number, settings.steps, norm, float(rates[0]), seconds)
