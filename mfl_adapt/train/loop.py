"""The training loop: forward, backward, clip, step, log, save; what is learned is a task's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from accelerate import Accelerator
from accelerate.utils import set_seed

from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.interrupt import GracefulStop
from mfl_adapt.train.learner import open_learner
from mfl_adapt.train.randomness import seed_of
from mfl_adapt.train.records import Recorder, Step
from mfl_adapt.train.session import Session
from mfl_adapt.train.step import take_step
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
    processes = run.processes
    set_seed(seed_of(run.config.seed, processes.rank))
    task = build_task(run, accelerator)
    learner = open_learner(run, accelerator)
    recorder = Recorder(run, task, learner)
    learner.align()
    recorder.begin()
    run.base.module.train()
    speed = fast_training(run.adapter, checkpointing=settings.checkpointing)
    with GracefulStop() as stop, recorder.recording_stops(), speed:
        # While the main process records a step, the others wait for it here, to stop together.
        while learner.done < settings.steps and not stop.agreed(processes.exchange(stop.requested)):
            step = take_step(task, learner, accelerator, settings)
            if step is not None and processes.is_main:
                report(recorder.finish_step(step))
    if processes.is_main:
        recorder.save_checkpoint()
    if learner.average is not None:
        learner.average.settle()
    run.base.module.eval()
    return Trained(learner.done, recorder.notes())
