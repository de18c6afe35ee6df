"""The training loop: batch, forward, render, losses, backward, clip, step, log, save."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from accelerate import Accelerator
from accelerate.utils import set_seed

from mfl_adapt.data import StepSampler
from mfl_adapt.plugin import LossContext
from mfl_adapt.render import render
from mfl_adapt.train.guards import check_gradient
from mfl_adapt.train.interrupt import GracefulStop
from mfl_adapt.train.objective import Objective, Term
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.records import Recorder, Step
from mfl_adapt.train.session import Session
from mfl_adapt.train.views import next_batch

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
    settings, contract = run.config.train, run.data.contract
    log.info("train: on %s in %s", accelerator.device, settings.precision)
    set_seed(run.config.seed)
    run.base.module.to(accelerator.device).train()
    parameters = run.adapter.parameters()
    objective = Objective(tuple(Term(*loss) for loss in run.opened.losses))
    optimizer, schedule = build_optimizer(
        parameters,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        steps=settings.steps,
        warmup=settings.warmup,
    )
    sampler = StepSampler(run.data.split.train, batch=settings.batch, seed=run.config.seed)
    recorder = Recorder(run, accelerator)
    recorder.save_pictures(step=0)
    done = 0
    with GracefulStop() as stop:
        while done < settings.steps and not stop.requested:
            started = time.perf_counter()
            batch = next_batch(run.data, sampler, done).to(accelerator.device)
            with accelerator.autocast():
                gaussians = run.base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
            drawn = render(
                gaussians,
                batch.targets.cameras,
                background=contract.background,
                backend=settings.backend,
                depth=False,
            )
            pred, cameras = drawn.rgb, batch.targets.cameras
            context = LossContext(contract, done, gaussians, cameras, drawn.alpha)
            loss, parts = objective(pred, batch.targets.rgb, batch.targets.mask, context)
            accelerator.backward(loss)
            norm = float(accelerator.clip_grad_norm_(parameters, settings.clip))
            check_gradient(norm, step=done)
            rate = float(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            done += 1
            seconds = time.perf_counter() - started
            step = Step.measure(done, settings.steps, loss, parts, pred, batch, norm, rate, seconds)
            recorder.finish_step(step)
            report(step)
    run.base.module.eval()
    return done
