"""The training loop: forward, backward, clip, step, log, save; what is learned is a task's."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import NamedTuple

from accelerate import Accelerator
from accelerate.utils import set_seed

from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.interrupt import GracefulStop
from mfl_adapt.train.learner import open_learner
from mfl_adapt.train.records import Recorder, Step
from mfl_adapt.train.session import Session
from mfl_adapt.train.tasks import build_task

log = logging.getLogger(__name__)


class Trained(NamedTuple):
    """What the loop came to.

    Attributes:
        steps: Optimizer steps done in all: fewer than asked for only after Ctrl-C.
        notes: What the user should know of it, a sentence each.
    """

    steps: int
    notes: tuple[str, ...] = ()


def train(run: Session, accelerator: Accelerator, report: Callable[[Step], None]) -> Trained:
    """Train an adapter; its parameters change, the base's do not.

    Args:
        run: Its folder gets ``metrics.jsonl``, ``samples/`` and ``checkpoints/``; it goes on from
            its checkpoint, if it has one.
        accelerator: Device and number format.
        report: Called after every step.

    Raises:
        TrainingError: If a guard stops the run.
        StorageError: If the folder cannot be written.
    """
    settings = run.config.train
    log.info("train: on %s in %s", accelerator.device, settings.precision)
    set_seed(run.config.seed)
    task = build_task(run, accelerator)
    learner = open_learner(run, accelerator)
    recorder = Recorder(run, task, learner)
    recorder.begin()
    run.base.module.train()
    speed = fast_training(run.adapter, checkpointing=settings.checkpointing)
    with GracefulStop() as stop, recorder.recording_stops(), speed:
        while learner.done < settings.steps and not stop.requested:
            started, number = time.perf_counter(), learner.done + 1
            look = learner.watch.look(number)
            outcome = task.forward(learner.done, look)
            accelerator.backward(outcome.loss)
            norm = float(accelerator.clip_grad_norm_(learner.parameters, settings.clip))
            factor = None if accelerator.scaler is None else accelerator.scaler.get_scale()
            learner.watch.take_gradient(norm, number, factor)
            rates = learner.schedule.get_last_lr()
            learner.watch.take_rates(rates, number)
            learner.optimizer.step()
            learner.optimizer.zero_grad(set_to_none=True)
            if not math.isfinite(norm):
                # The factor was too large. The weights stayed and it was halved: the same step is
                # tried again, and schedule, average and count stand still.
                continue
            learner.schedule.step()
            if learner.average is not None:
                learner.average.update()
            learner.watch.take_step(number, outcome.measures, outcome.gradients)
            learner.done = number
            seconds = time.perf_counter() - started
            step = Step.of(outcome, number, settings.steps, norm, float(rates[0]), seconds)
            report(recorder.finish_step(step))
    recorder.save_checkpoint()
    if learner.average is not None:
        learner.average.settle()
    run.base.module.eval()
    return Trained(learner.done, recorder.notes())
