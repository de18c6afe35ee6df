"""What a run will take, found out by its first steps, of which nothing is kept."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from mfl_adapt import adapter as adapters
from mfl_adapt.adapter.header import EXTRA, WEIGHTS
from mfl_adapt.config import LoadedConfig, RunConfig, validate_components
from mfl_adapt.errors import TrainingError
from mfl_adapt.evaluate import evaluate_any
from mfl_adapt.pipeline import OpenData, OpenRun, open_run
from mfl_adapt.plugin import BaseSpec, BatchViewPolicy, Reconstructor
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.train.accelerator import build_accelerator
from mfl_adapt.train.checkpoints import write_checkpoint
from mfl_adapt.train.dry_run_record import DryRun, Finish, Pace, Room
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.folder import RunFolder, check_output
from mfl_adapt.train.guards.watch import check_codes
from mfl_adapt.train.learner import Learner, open_learner
from mfl_adapt.train.memory import PeakMemory
from mfl_adapt.train.run import examine
from mfl_adapt.train.session import Session
from mfl_adapt.train.step import take_step
from mfl_adapt.train.stopwatch import Stopwatch, WatchedLoss, WatchedTask
from mfl_adapt.train.tasks import Task, build_task

_ENOUGH_S = 3.0
"""Seconds of steps after which a median says enough."""
_MOST_STEPS, _MOST_TRIES = 5, 32


@dataclass(frozen=True, slots=True, eq=False)
class _Rehearsal:
    """A run that is only tried.

    Attributes:
        session: The run; its folder is a temporary one.
        accelerator: Device and number format.
        task: What is learned, watched.
        learner: What moves the weights.
        watch: Takes the time.
    """

    session: Session
    accelerator: Accelerator
    task: Task
    learner: Learner
    watch: Stopwatch


def dry_run(loaded: LoadedConfig, host: PluginHost) -> DryRun:
    """Open and examine everything as ``run_training`` does, take a few steps, and measure them.

    No run folder is written, no observer is told, and the adapter is taken off again.

    Args:
        loaded: The configuration, with slots claimed.
        host: The active plugins.

    Raises:
        MflAdaptError: If anything would stop the run before or in its first steps.
    """
    validate_components(loaded, host)
    config = loaded.config
    check_codes(config.train.guards)
    host.observers.run_opening(config=config)
    free = check_output(config.output)
    accelerator = build_accelerator(config.train.device, config.train.precision)
    opened = open_run(loaded, host)
    findings = examine(opened)
    adapter = adapters.attach(opened.base, opened.method, seed=config.seed)
    if config.train.save_dtype == "float16":
        adapter.save_dtype = torch.float16
    watch = Stopwatch(accelerator.device, renders=isinstance(opened.base, Reconstructor))
    try:
        with tempfile.TemporaryDirectory(prefix="mfl_adapt-dry-run-") as temporary:
            session = Session(_watched(opened, watch), adapter, RunFolder(Path(temporary), "run"))
            with PeakMemory(accelerator.device) as memory:
                rehearsal = _open(session, accelerator, watch)
                pace = _measure_steps(rehearsal)
            room = _measure_room(rehearsal, free)
            finish = _measure_rest(rehearsal, pace, room)
            return DryRun.of(session, findings, str(accelerator.device), memory, pace, room, finish)
    finally:
        adapter.remove()


def _watched(opened: OpenRun, watch: Stopwatch) -> OpenRun:
    """The same run, with losses whose time is taken."""
    losses = tuple(
        (name, weight, WatchedLoss(loss, watch), schedule)
        for name, weight, loss, schedule in opened.losses
    )
    return replace(opened, losses=losses)


def _open(session: Session, accelerator: Accelerator, watch: Stopwatch) -> _Rehearsal:
    set_seed(session.config.seed)
    task = WatchedTask(build_task(session, accelerator), watch.forward_done)
    return _Rehearsal(session, accelerator, task, open_learner(session, accelerator), watch)


def _measure_steps(run: _Rehearsal) -> Pace:
    """Take steps as the loop does, and their time; the first one is not counted.

    It loads or compiles the rasterizer, and all steps after it find their memory allocated.
    """
    session, settings = run.session, run.session.config.train
    module = session.base.module.train()
    first = fullest_step(session.config)
    optimizer = getattr(run.learner.optimizer, "optimizer", run.learner.optimizer)
    speed = fast_training(session.adapter, checkpointing=settings.checkpointing)
    with speed, run.watch.on(module, optimizer):
        run.learner.done = first
        warm_up = _step(run)
        fresh = again = _some_steps(run)
        prefix = getattr(module, "prefix", None)
        if prefix is not None or not isinstance(session.base, Reconstructor):
            # What was kept of these steps' samples is there when they come again.
            run.learner.done = first + 1
            again = [_step(run) for _ in fresh]
        kept = 0 if prefix is None else prefix.num_bytes
    module.eval()
    parts = run.watch.steps[-len(again) :]
    return Pace(
        step=first + 1,
        warm_up=warm_up,
        fresh=median(fresh),
        again=median(again),
        counted=len(again),
        parts={name: fmean(one[name] for one in parts) for name in parts[0]},
        kept_bytes=kept,
    )


def fullest_step(config: RunConfig) -> int:
    """Return the first step, from 0, at which the most loss terms have their full weight."""
    schedules = [term.schedule for term in config.losses.values() if term.schedule is not None]
    moments = sorted({0, *(min(one.start + one.ramp, config.train.steps - 1) for one in schedules)})
    return max(moments, key=lambda step: sum(one.factor(step) for one in schedules))


def _some_steps(run: _Rehearsal) -> list[float]:
    seconds: list[float] = []
    while not seconds or (len(seconds) < _MOST_STEPS and sum(seconds) < _ENOUGH_S):
        seconds.append(_step(run))
    return seconds


def _step(run: _Rehearsal) -> float:
    """Take one step and return its seconds.

    Raises:
        TrainingError: If fp16 gradients overflow again and again.
    """
    settings = run.session.config.train
    for _ in range(_MOST_TRIES):
        with run.watch.step():
            step = take_step(run.task, run.learner, run.accelerator, settings)
        if step is not None:
            return sum(run.watch.steps[-1].values())
    raise TrainingError(
        f"train.precision: expected a finite gradient within {_MOST_TRIES} tries, got none. "
        "Use --set train.precision=bf16."
    )


def _measure_room(run: _Rehearsal, free: int) -> Room:
    """Write a checkpoint where it is deleted at once, and see what it takes."""
    session = run.session

    def save(path: Path) -> None:
        adapters.save(session.adapter, path, passport={}, needs_effect=False)

    started = time.perf_counter()
    written = write_checkpoint(session.folder.path, 0, save, run.learner.capture())
    seconds = time.perf_counter() - started
    sizes = {one.name: one.stat().st_size for one in written.iterdir()}
    return Room(
        adapter=sum(size for name, size in sizes.items() if name in {WEIGHTS, EXTRA}),
        checkpoint=sum(sizes.values()),
        # The newest ones, the best one, and one that is being written.
        checkpoints=session.config.train.keep + 2,
        free=free,
        seconds=seconds,
    )


def _measure_rest(run: _Rehearsal, pace: Pace, room: Room) -> Finish:
    """Take the time of a scene of the evaluation, and add up what the whole run will take."""
    session, config = run.session, run.session.config
    settings, held_out = config.train, len(session.data.evaluation)
    fixed, scene, sample, picture = _scene_seconds(run)
    validations = _times(settings.steps, settings.validate_every)
    pictures = 1 + _times(settings.steps, settings.sample_every)
    saves = 1 + _times(settings.steps, settings.save_every)
    scenes = min(held_out, config.evaluate.samples or held_out)
    return Finish(
        steps=_step_seconds(session, pace),
        pictures=pictures * picture,
        validation=validations * min(held_out, settings.validate_samples) * sample,
        checkpoints=saves * room.seconds,
        evaluation=fixed + (scenes + _retention_scenes(session)) * scene,
    )


def _step_seconds(session: Session, pace: Pace) -> float:
    """Seconds of all steps; those are slower whose samples come for the first time."""
    settings, data = session.config.train, session.data
    new = settings.steps
    if _same_inputs(data):
        new = min(new, math.ceil(len(data.split.train) / settings.batch))
    return new * pace.fresh + (settings.steps - new) * pace.again


def _same_inputs(data: OpenData) -> bool:
    """Whether a sample shows the network the same pictures each time that it comes."""
    if isinstance(data.policy, BatchViewPolicy):
        return False
    cameras = data.samples[data.split.train[0]].cameras
    return len({data.policy.train(cameras, seed=seed).inputs for seed in range(4)}) == 1


def _times(steps: int, every: int | None) -> int:
    """How often something happens that is due every so many steps, and at the end."""
    return 0 if every is None or every > steps else math.ceil(steps / every)


def _retention_scenes(session: Session) -> int:
    """Scenes of the base's own domain, if it is known where they come from."""
    config, named = session.config, session.config.base
    assert named is not None, "a run has a base"
    home = session.opened.host.component(BaseSpec, named.id, where="base").spec.home
    known = config.evaluate.home is not None or (home is not None and "reader" in home.data)
    return config.evaluate.retention if known else 0


class _Scene(NamedTuple):
    """Seconds of measurements.

    Attributes:
        fixed: Of an evaluation, before its first scene.
        scene: Of each of its scenes.
        sample: Of each sample that is validated in the midst of training.
        picture: Of the pictures of a step.
    """

    fixed: float
    scene: float
    sample: float
    picture: float


def _scene_seconds(run: _Rehearsal) -> _Scene:
    """Draw and measure a few held-out samples, as a run does."""
    session = run.session
    if isinstance(session.base, Reconstructor):
        picture = _seconds(lambda: run.task.draw(session.folder.path / "picture.png"))
        sample = _seconds(lambda: run.task.validate(1))
        return _Scene(*_evaluate(session, session.config), sample, picture)
    # Views take as long as their denoising steps are many; a few of them tell.
    few, more = 1, 3
    fixed, least = _evaluate(session, _with_sampling(session.config, few))
    most = _evaluate(session, _with_sampling(session.config, more))[1]
    steps = session.config.diffusion.sampling_steps
    scene = max(least, least + (steps - few) * (most - least) / (more - few))
    # A scene is made with the adapter and without it; a picture shows two samples.
    return _Scene(fixed, scene, scene / 2, scene)


def _with_sampling(config: RunConfig, steps: int) -> RunConfig:
    diffusion = config.diffusion.model_copy(update={"sampling_steps": steps})
    return config.model_copy(update={"diffusion": diffusion})


def _evaluate(session: Session, config: RunConfig) -> tuple[float, float]:
    """Seconds before the first scene of an evaluation, and of each scene."""
    few = config.evaluate.model_copy(update={"samples": 2})
    moments = [time.perf_counter()]
    evaluate_any(
        session.base,
        session.adapter,
        session.data,
        config.model_copy(update={"evaluate": few}),
        lambda *_: moments.append(time.perf_counter()),
    )
    scene = moments[-1] - moments[-2]
    return max(0.0, moments[1] - moments[0] - scene), scene


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
