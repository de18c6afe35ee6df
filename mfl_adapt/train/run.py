"""A whole training run: open, examine, attach, train, prove, evaluate, save."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from mfl_adapt import adapter as adapters
from mfl_adapt.config import LoadedConfig, dump_config, to_plain, validate_components
from mfl_adapt.doctor import Report, build_checks, examine_samples, to_json
from mfl_adapt.errors import TrainingError
from mfl_adapt.evaluate import Evaluation, evaluate_any
from mfl_adapt.pipeline import OpenRun, open_run
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.train.accelerator import build_accelerator
from mfl_adapt.train.evidence import passport
from mfl_adapt.train.folder import RunFolder, environment
from mfl_adapt.train.loop import train
from mfl_adapt.train.records import Step
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
        evaluation: None if the user stopped the run before its end.
    """

    session: Session
    steps: int
    evaluation: Evaluation | None


def run_training(loaded: LoadedConfig, host: PluginHost, listener: Listener) -> Result:
    """Train an adapter and write its run folder.

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
    accelerator = build_accelerator(loaded.config.train.device, loaded.config.train.precision)
    opened = open_run(loaded, host)
    findings = examine(opened)
    adapter = adapters.attach(opened.base, opened.method, seed=loaded.config.seed)
    if loaded.config.train.save_dtype == "float16":
        adapter.save_dtype = torch.float16
    session = Session(opened, adapter, start_folder(loaded, findings))
    listener.opened(session, findings)
    host.observers.run_started(run=session)
    before = adapters.base_digest(opened.base.module)
    steps = train(session, accelerator, listener.step)
    check_base_unchanged(session, before)
    evaluation = finish(session, steps, listener.evaluating)
    host.observers.run_finished(run=session)
    return Result(session, steps, evaluation)


def examine(opened: OpenRun) -> Report:
    """Run the checks over the data; a broken law stops the run unless it is forced.

    Raises:
        CheckError: If a law is broken.
    """
    data, force = opened.data, opened.config.train.force
    plain = to_plain(opened.config)
    report = examine_samples(build_checks(opened.host), data.samples, data.contract, plain)
    report.raise_for_laws(force=force)
    if report.laws:
        log.warning("doctor: %d broken laws, ignored because of train.force", len(report.laws))
    return report


def start_folder(loaded: LoadedConfig, findings: Report) -> RunFolder:
    """Make the run folder with everything that is known before the first step."""
    config = loaded.config
    folder = RunFolder(config.output, config.name)
    folder.write_text("config.yaml", dump_config(config))
    folder.write_json("environment.json", environment())
    folder.write_json("doctor.json", to_json(findings) | {"forced": config.train.force})
    return folder


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
    evaluation = evaluate_any(session.base, session.adapter, session.data, session.config, report)
    session.folder.write_json("evaluation.json", evaluation.to_json())
    adapters.save(session.adapter, path, passport=passport(session, steps, evaluation))
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
