"""The training loop: forward, backward, clip, step, log, save; what is learned is a task's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from accelerate import Accelerator
from accelerate.utils import set_seed

from mfl_adapt.train.average import MovingAverage
from mfl_adapt.train.guards import check_gradient
from mfl_adapt.train.interrupt import GracefulStop
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.records import Recorder, Step
from mfl_adapt.train.session import Session
from mfl_adapt.train.tasks import build_task

log = logging.getLogger(__name__)


def train(run: Session, accelerator: Accelerator, report: Callable[[Step], None]) -> int:
    """Train an adapter; its parameters change, the base's do not.

    Args:
        run: Its folder gets ``metrics.jsonl``, ``samples/`` and ``checkpoints/``.
        accelerator: Device and number format.
        report: Called after every step.

    Returns:
        Steps done: fewer than asked for only after Ctrl-C.

    Raises:
        TrainingError: If a loss or gradient is not finite.
        StorageError: If the folder cannot be written.
    """
    settings = run.config.train
    log.info("train: on %s in %s", accelerator.device, settings.precision)
    set_seed(run.config.seed)
    task = build_task(run, accelerator)
    parameters = run.adapter.parameters()
    optimizer, schedule = build_optimizer(
        parameters,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        steps=settings.steps,
        warmup=settings.warmup,
    )
    average = None if settings.ema is None else MovingAverage(parameters, settings.ema)
    recorder = Recorder(run, task, average)
    recorder.save_pictures(step=0)
    run.base.module.train()
    done = 0
    with GracefulStop() as stop:
        while done < settings.steps and not stop.requested:
            started = time.perf_counter()
            outcome = task.forward(done)
            accelerator.backward(outcome.loss)
            norm = float(accelerator.clip_grad_norm_(parameters, settings.clip))
            check_gradient(norm, step=done)
            rate = float(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            if average is not None:
                average.update()
            done += 1
            seconds = time.perf_counter() - started
            step = Step.of(outcome, done, settings.steps, norm, rate, seconds)
            recorder.finish_step(step)
            report(step)
    if average is not None:
        average.settle()
    run.base.module.eval()
    return done
