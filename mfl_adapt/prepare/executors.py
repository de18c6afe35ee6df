"""Which workers to use, from what the user asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from mfl_adapt.errors import ConfigError
from mfl_adapt.prepare.local import HereExecutor, ProcessExecutor

if TYPE_CHECKING:
    from mfl_adapt.prepare.run import Executor

ExecutorName = Literal["local", "dask"]


def build_executor(
    name: ExecutorName = "local", *, workers: int | None = None, scheduler: str | None = None
) -> Executor:
    """Choose who makes the samples.

    Args:
        name: ``local`` for processes of this machine, ``dask`` for a cluster.
        workers: Number of processes; None takes one per core, 0 works in this very process.
        scheduler: Address of the cluster's scheduler.

    Raises:
        ConfigError: If the options contradict one another.
        WorkerError: If the cluster cannot be reached.
    """
    if name == "dask":
        if scheduler is None:
            raise ConfigError(
                "--executor dask: expected the address of a scheduler, got none. Add --scheduler "
                "tcp://HOST:8786."
            )
        if workers is not None:
            raise ConfigError(
                f"--workers: expected nothing with --executor dask, where the cluster's own "
                f"workers count, got {workers}. Leave it out."
            )
        from mfl_adapt.prepare.cluster import DaskExecutor

        return DaskExecutor(scheduler)
    if scheduler is not None:
        raise ConfigError(
            f"--scheduler: expected nothing with local workers, got {scheduler}. Add --executor "
            f"dask, or leave it out."
        )
    if workers == 0:
        return HereExecutor()
    return ProcessExecutor(workers or len(os.sched_getaffinity(0)))
