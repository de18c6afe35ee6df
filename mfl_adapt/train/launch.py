"""Starts a run in several processes on this machine, with accelerate's launcher."""

from __future__ import annotations

import io
import logging
import os
import signal
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from mfl_adapt.config.models import Train
from mfl_adapt.errors import ConfigError, TrainingError
from mfl_adapt.train.interrupt import SIGNALS
from mfl_adapt.train.launched import REPORTS, Report, pass_on, read_reports

log = logging.getLogger(__name__)

_OTHERS = {
    "cpu": "use --set train.device=cpu",
    "tpu": "this program trains on CPUs and GPUs",
    "use_deepspeed": "this program shares batches out, and nothing else",
    "use_fsdp": "this program shares batches out, and nothing else",
    "use_megatron_lm": "this program shares batches out, and nothing else",
    "use_parallelism_config": "this program shares batches out, and nothing else",
    "no_python": "the launcher starts this program",
    "max_restarts": "go on with a run with --resume",
}
"""Flags of the launcher that would do nothing or harm here, with what to do instead."""
_INTERRUPTED = 128 + signal.SIGINT
_GRACE_S = 10
"""Seconds that processes have to end when one of them has died."""


def launch(command: Sequence[str], count: int, flags: Sequence[str], settings: Train) -> None:
    """Run a command of this program in several processes, and return when all have ended well.

    Each process has its share of the threads, or a GPU. The first Ctrl-C or SIGTERM lets all
    processes finish their step and save; the second one ends them at once.

    Args:
        command: Words after ``mfl-adapt``.
        count: Processes on this machine.
        flags: Further ones for ``accelerate launch``.
        settings: Of the run; what cannot be had with so many processes is refused here.

    Raises:
        ConfigError: If a flag cannot be used.
        TrainingError: If a process failed, with what it said.
        KeyboardInterrupt: If the user ended them at once.
        SystemExit: If somebody else ended them at once.
    """
    arguments = parse_flags(command, count, flags)
    _check(settings, count, arguments.num_processes)
    from accelerate.commands.launch import launch_command
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    with tempfile.TemporaryDirectory(prefix="mfl_adapt-launch-") as folder:
        with _environment(Path(folder)), _quiet(), _forwarding(Path(folder)) as sent:
            try:
                launch_command(arguments)
            except ChildFailedError as failed:
                codes = {rank: one.exitcode for rank, one in failed.failures.items()}
            except (OSError, RuntimeError, ValueError) as error:
                raise TrainingError(
                    f"train --launch: expected to start {count} processes, got {error}. Look at "
                    "the flags after --."
                ) from error
            else:
                return
        raise_failure(codes, read_reports(Path(folder)), count, sent)


def parse_flags(command: Sequence[str], count: int, flags: Sequence[str]) -> Namespace:
    """Return the arguments of accelerate's launcher.

    Raises:
        ConfigError: If it does not know a flag, or one would do nothing or harm here.
    """
    from accelerate.commands.launch import launch_command_parser

    parser = launch_command_parser()
    ours = ["--multi_gpu", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    # Any free port, so that two runs on one machine do not meet.
    ours += ["--main_process_port=0", f"--num_cpu_threads_per_process={_threads(count)}"]
    end = ["--module", "mfl_adapt", *command]
    read = _parse(parser, [*ours, *flags, *end])
    if (read.training_script, read.training_script_args) != ("mfl_adapt", list(command)):
        _refuse(f"unknown: {read.training_script}")
    defaults = parser.parse_args([*ours, *end])
    for name, instead in _OTHERS.items():
        if getattr(read, name) != getattr(defaults, name):
            _refuse(f"--{name} has no use here: {instead}")
    for name, key in (("mixed_precision", "precision"), ("dynamo_backend", None)):
        if getattr(read, name) != "no":
            instead = f"use --set train.{key}=..." if key else "networks are not compiled"
            _refuse(f"--{name} has no use here: {instead}")
    if read.num_machines > 1 and not (read.main_process_ip and read.main_process_port):
        _refuse("--num_machines needs --main_process_ip and --main_process_port beside it")
    whole = count * read.num_machines
    if read.num_processes not in {None, whole}:
        _refuse(f"--num_processes={read.num_processes} is not {whole}, as --launch says")
    read.num_processes = whole
    return read


def _parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Let accelerate's parser read words, without the page that it prints about an error.

    Raises:
        SystemExit: If all that was asked for is its help.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return parser.parse_args(words)
    except SystemExit as stopped:
        if not stopped.code:
            raise
        _refuse(said.getvalue().strip().rpartition("error: ")[2])


def raise_failure(
    codes: Mapping[int, int], reports: Mapping[int, Report], count: int, sent: Sequence[int] = ()
) -> NoReturn:
    """Say in one line why processes ended.

    Args:
        codes: How those ended that did not end well, by rank, the first one first; below 0 is a
            signal. The launcher kills those that do not end after another one has.
        reports: What they left.
        count: How many there were.
        sent: Signals that were passed on to them.

    Raises:
        TrainingError: With the error of one of them, or the signal that killed it.
        KeyboardInterrupt: If the user ended them.
        SystemExit: If somebody else ended them.
    """
    said = [one.error for _, one in sorted(reports.items()) if one.error and not one.is_lost]
    if said:
        raise TrainingError(said[0])
    lost = {rank for rank, one in reports.items() if one.is_lost}
    rank = next((one for one in codes if one not in lost), next(iter(codes)))
    code = codes[rank]
    if code == _INTERRUPTED or -code == signal.SIGINT:
        raise KeyboardInterrupt
    if -code in sent:
        raise SystemExit(128 - code)
    run = next((one.run for one in reports.values() if one.run is not None), None)
    remedy = "Nothing was trained; start it again."
    if run is not None:
        remedy = f"Go on with mfl-adapt train --resume {run} --launch {count}."
    raise TrainingError(
        f"train: expected {count} processes to the end, got process {rank} {_end(code)} {remedy}"
    )


def _end(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"with exit code {code}, after what it wrote above."
    known = {one.value: one.name for one in signal.Signals}
    memory = " Systems do that when they run out of memory." if -code == signal.SIGKILL else ""
    return f"killed by {known.get(-code, f'signal {-code}')}.{memory}"


def _check(settings: Train, count: int, processes: int) -> None:
    """Refuse what each process would refuse."""
    import torch

    from mfl_adapt.train.accelerator import check_device, check_gpus
    from mfl_adapt.train.processes import check_batch

    check_batch(settings.batch, processes)
    check_device(settings.device)
    if settings.device != "cpu" and torch.cuda.is_available():
        check_gpus(count, torch.cuda.device_count())


def _threads(count: int) -> int:
    """Threads of each process on this machine."""
    import torch

    return max(1, torch.get_num_threads() // count)


def _refuse(message: str) -> NoReturn:
    """Refuse flags.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        f"train --launch: expected flags of accelerate launch after --, got some that cannot be "
        f"used: {message}. See accelerate launch --help."
    )


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Let processes find the folder for reports; they get a copy of the environment."""
    added = {
        REPORTS: str(folder),
        # The launcher would pass signals on and leave no time; this module does it instead.
        "PET_SIGNALS_TO_HANDLE": "none",
        "PET_SHUTDOWN_TIMEOUT": str(_GRACE_S),
    }
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the launcher from telling of what is told in one line, unless details are wanted."""
    if logging.getLogger("mfl_adapt").level == logging.DEBUG:
        yield
        return
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _forwarding(folder: Path) -> Iterator[list[int]]:
    """Pass Ctrl-C and SIGTERM on to the processes, which are not in this terminal's group."""
    sent: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        sent.append(number)
        pass_on(folder, number)

    before: dict[int, Any] = {one: signal.signal(one, forward) for one in SIGNALS}
    try:
        yield sent
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
