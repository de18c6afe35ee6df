"""The training loop: forward, backward, clip, step, log, save; what is learned is a task's."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mfl_adapt.config.models import Train
from mfl_adapt.plugin import AdapterMethod, Pace, PacedMethod
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
    named, method = run.adapter.named_parameters(), run.opened.method
    optimizer, schedule = _open_optimizer(named, method, settings, accelerator)
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
            factor = None if accelerator.scaler is None else accelerator.scaler.get_scale()
            check_gradient(norm, step=done, factor=factor)
            rate = float(schedule.get_last_lr()[0])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if not math.isfinite(norm):
                # The factor was too large. The weights stayed and it was halved: the same step is
                # tried again, and schedule, average and count stand still.
                continue
            schedule.step()
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


def _open_optimizer(
    named: Mapping[str, nn.Parameter],
    method: AdapterMethod,
    settings: Train,
    accelerator: Accelerator,
) -> tuple[Any, LambdaLR]:
    """Build the optimizer, with the factor of fp16 losses in its care, and its schedule."""
    paces = [method.pace(name) if isinstance(method, PacedMethod) else Pace() for name in named]
    optimizer, schedule = build_optimizer(
        named.values(),
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        steps=settings.steps,
        warmup=settings.warmup,
        paces=paces,
    )
    # The accelerator can only take the factor out of the gradients of an optimizer that it knows;
    # they would be clipped with it otherwise.
    return accelerator.prepare_optimizer(optimizer), schedule
