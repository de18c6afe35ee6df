"""A whole training run: open, examine, attach, train, prove, evaluate, save."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from mfl_adapt import adapter as adapters
from mfl_adapt.config import (
    LoadedConfig,
    describe_origins,
    dump_config,
    to_plain,
    validate_components,
)
from mfl_adapt.doctor import (
    Report,
    build_checks,
    examine_samples,
    examine_source,
    join,
    to_json,
)
from mfl_adapt.errors import TrainingError
from mfl_adapt.evaluate import Evaluation
from mfl_adapt.pipeline import OpenRun, open_run
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.train.accelerator import build_accelerator
from mfl_adapt.train.checkpoints import Checkpoint, read_newest
from mfl_adapt.train.claim import claim
from mfl_adapt.train.environment import environment
from mfl_adapt.train.evidence import measure_run, passport
from mfl_adapt.train.folder import RunFolder, check_output, to_text
from mfl_adapt.train.guards.watch import check_codes
from mfl_adapt.train.launched import report as report_to_launcher
from mfl_adapt.train.learner import check_memories
from mfl_adapt.train.loop import train
from mfl_adapt.train.processes import Processes, check_batch, check_the_same, open_processes
from mfl_adapt.train.records import Step
from mfl_adapt.train.resume import (
    FINISHED,
    IDENTITY,
    check_same,
    deciding,
    find_run,
    identify,
    read_identity,
)
from mfl_adapt.train.session import Session

log = logging.getLogger(__name__)


class Listener(Protocol):
    """What a user interface shows of a run."""

    def opened(self, run: Session, report: Report) -> None:
        """The data are read and examined, and the adapter is attached."""

    def step(self, step: Step) -> None:
        """One step is done."""

    def evaluating(self, done: int, total: int) -> None:
        """So many scenes are evaluated."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a run came to.

    Attributes:
        session: The run, with its folder.
        steps: Optimizer steps done.
        evaluation: None if the user stopped the run before its end, and where another process
            is the main one.
        notes: What the user should know beside that, a sentence each.
    """

    session: Session
    steps: int
    evaluation: Evaluation | None
    notes: tuple[str, ...] = ()


def run_training(loaded: LoadedConfig, host: PluginHost, listener: Listener) -> Result:
    """Train an adapter and write its run folder, or go on with one.

    Args:
        loaded: The configuration, with slots claimed.
        host: The active plugins.
        listener: Gets told what happens.

    Returns:
        Folder and scores.

    Raises:
        MflAdaptError: If anything about configuration, data, weights or disk stops the run.
    """
    validate_components(loaded, host)
    check_codes(loaded.config.train.guards)
    config = loaded.config.train
    if config.resume is not None:
        find_run(config.resume)
    with ExitStack() as held:
        accelerator = build_accelerator(config.device, config.precision)
        processes = open_processes(accelerator)
        held.callback(processes.close)
        held.enter_context(processes.sharing_errors())
        check_batch(config.batch, processes.count)
        if config.resume is not None:
            if processes.is_main:
                held.enter_context(claim(config.resume))
            loaded = _without_resume(loaded)
        processes.on_main(lambda: _refuse_early(loaded, host))
        opened = _open_in_turn(loaded, host, processes)
        check_memories(opened, processes.count)
        findings = processes.on_main(lambda: examine(opened))
        session = _open_session(loaded, opened, findings, processes, config.resume)
        if config.resume is None and processes.is_main:
            held.enter_context(claim(session.folder.path))
        return _train(session, accelerator, findings, listener)


def _refuse_early(loaded: LoadedConfig, host: PluginHost) -> None:
    """Look for what would stop a run later, before anything is read.

    Raises:
        StorageError: If its folder could not be written.
        MflAdaptError: If a plugin refuses it.
    """
    if loaded.config.train.resume is None:
        check_output(loaded.config.output)
    host.observers.run_opening(config=loaded.config)


def _open_in_turn(loaded: LoadedConfig, host: PluginHost, processes: Processes) -> OpenRun:
    """Open everything; where a cache may be written, the main process comes first."""
    data = loaded.config.data
    cached = data.cache is not None or (data.reader and "cache" in data.reader.settings)
    work = partial(open_run, loaded, host)
    return processes.one_after_the_other(work) if cached else work()


def _open_session(
    loaded: LoadedConfig,
    opened: OpenRun,
    findings: Report | None,
    processes: Processes,
    resumed: Path | None,
) -> Session:
    """Attach the adapter, and make or reopen the folder."""
    adapter = adapters.attach(opened.base, opened.method, seed=loaded.config.seed)
    if loaded.config.train.save_dtype == "float16":
        adapter.save_dtype = torch.float16
    identity = identify(opened)
    check_the_same(processes, "base, data and settings", deciding(identity))
    if findings is None:
        # The main process makes the folder and reads the checkpoint for all of them.
        path, checkpoint = processes.tell((Path(), None))
        return Session(opened, adapter, RunFolder.of_another(path), identity, checkpoint, processes)
    checkpoint = None if resumed is None else _read_same(resumed, identity)
    if resumed is None:
        folder = start_folder(loaded, findings, identity)
    else:
        folder = RunFolder.reopen(resumed)
        folder.rewind(0 if checkpoint is None else checkpoint.step)
    processes.tell((folder.path, checkpoint))
    return Session(opened, adapter, folder, identity, checkpoint, processes)


def _train(
    session: Session, accelerator: Accelerator, findings: Report | None, listener: Listener
) -> Result:
    """Train, prove that the base stayed as it was, and save and measure what came out."""
    observers, processes = session.opened.host.observers, session.processes
    if findings is not None:
        report_to_launcher(run=session.folder.path)
        listener.opened(session, findings)
        observers.run_started(run=session)
    before = adapters.base_digest(session.base.module)
    steps, notes = train(session, accelerator, listener.step)
    check_base_unchanged(session, before)
    # Whatever went wrong in one process is known to all after this; then only one is needed.
    processes.exchange(None)
    if not processes.is_main:
        return Result(session, steps, None)
    processes.part()
    evaluation = finish(session, steps, listener.evaluating)
    observers.run_finished(run=session)
    return Result(session, steps, evaluation, notes)


def examine(opened: OpenRun) -> Report:
    """Run the checks over the data and their files; a broken law stops the run unless it is forced.

    Raises:
        CheckError: If a law is broken.
    """
    data, force = opened.data, opened.config.train.force
    plain = to_plain(opened.config)
    checks = build_checks(opened.host)
    report = join([
        examine_source(checks, opened.config.data.path, plain),
        examine_samples(checks, data.samples, data.contract, plain, split=data.sides),
    ])
    report.raise_for_laws(force=force)
    if report.laws:
        log.warning("doctor: %d broken laws, ignored because of train.force", len(report.laws))
    return report


def start_folder(loaded: LoadedConfig, findings: Report, identity: Mapping[str, Any]) -> RunFolder:
    """Make the run folder with everything that is known before the first step."""
    config = loaded.config
    files = {
        "config.yaml": dump_config(config),
        "origins.json": to_text(_origins(loaded)),
        IDENTITY: to_text(identity),
        "environment.json": to_text(environment()),
        "doctor.json": to_text(to_json(findings) | {"forced": config.train.force}),
    }
    return RunFolder(config.output, config.name, files)


def _origins(loaded: LoadedConfig) -> dict[str, dict[str, str]]:
    """Say of every setting that is no default where it came from."""
    return {
        key: {"kind": kind, "place": place}
        for key, _, kind, place in describe_origins(loaded)
        if kind != "default"
    }


def _without_resume(loaded: LoadedConfig) -> LoadedConfig:
    """Leave out that a run was resumed: it is to be what it would have been without a break."""
    train = loaded.config.train.model_copy(update={"resume": None})
    return replace(loaded, config=loaded.config.model_copy(update={"train": train}))


def _read_same(run: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Read the newest sound checkpoint of a run, made from what is here now."""
    checkpoint = read_newest(run)
    if checkpoint is None:
        check_same(read_identity(run), identity, run)
        log.info("resume: %s has no checkpoint yet; it begins with its first step", run)
        return None
    check_same(checkpoint.state.plain["identity"], identity, run)
    log.info("resume: %s goes on after step %d", run, checkpoint.step)
    return checkpoint


def finish(session: Session, steps: int, report: Callable[[int, int], None]) -> Evaluation | None:
    """Save the adapter, evaluate it, and save it again with its scores.

    It is saved first so that nothing that happens during the evaluation can lose it. A run that
    the user stopped is not evaluated.
    """
    path = session.folder.path / "adapter"
    session.adapter.round()
    stopped = steps < session.config.train.steps
    # What a stopped run leaves may still do nothing; a whole one that does nothing is an error.
    given = passport(session, steps, None)
    adapters.save(session.adapter, path, passport=given, needs_effect=not stopped)
    if stopped:
        return None
    evaluation = measure_run(session, report)
    adapters.save(session.adapter, path, passport=passport(session, steps, evaluation))
    # Written last: a run that has it is finished.
    session.folder.write_json(FINISHED, evaluation.to_json())
    return evaluation


def check_base_unchanged(session: Session, before: str) -> None:
    """Prove that training left the base as it was.

    Raises:
        TrainingError: If a weight of the base differs, or got a gradient.
    """
    adapters.check_frozen(session.base.module, train_adapter=True)
    after = adapters.base_digest(session.base.module)
    if after != before:
        raise TrainingError(
            f"train: expected the frozen base to keep the hash {before}, got {after}. "
            "This is a fault of a plugin; nothing was saved."
        )
