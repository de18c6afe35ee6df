"""Workers on a Dask cluster, reached by the address of its scheduler (extra ``dask``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mfl_adapt import __version__
from mfl_adapt.errors import WorkerError
from mfl_adapt.prepare.work import run_chunk

if TYPE_CHECKING:
    from mfl_adapt.prepare.job import Job
    from mfl_adapt.prepare.work import Outcome

_SECONDS_TO_CONNECT = 10
# These print tracebacks of lost connections, of which our one line tells enough.
_LOUD = ("distributed.client", "distributed.core", "distributed.utils")


class DaskExecutor:
    """Hands chunks to a cluster whose workers see the same files and have the same packages."""

    def __init__(self, scheduler: str) -> None:
        """Connect.

        Args:
            scheduler: Address, for instance ``tcp://10.0.0.1:8786``.

        Raises:
            WorkerError: If Dask is not installed, or no scheduler with workers answers.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise WorkerError(
                "--executor dask: expected the package distributed, got none. Install "
                "mfl-adapt[dask]."
            ) from error
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client: Any = Client(scheduler, timeout=_SECONDS_TO_CONNECT)
        except (OSError, ValueError, TimeoutError) as error:
            raise WorkerError(
                f"--scheduler: expected a Dask scheduler at {scheduler}, got "
                f"{str(error) or type(error).__name__}. Check the address and that it is running."
            ) from error
        self.workers = sum(self._client.nthreads().values())
        if not self.workers:
            self._client.close()
            raise WorkerError(
                f"--scheduler: expected workers at {scheduler}, got none. Start some with "
                f"'dask worker {scheduler}'."
            )

    def run(self, job: Job, chunks: Sequence[Sequence[int]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of chunks as they are ready; stops cleanly if left early.

        Raises:
            WorkerError: If workers died, or the connection broke.
        """
        from distributed import as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        futures = [
            # Not pure: two runs of one chunk must both look at the disk.
            self._client.submit(run_elsewhere, job, tuple(chunk), __version__, pure=False)
            for chunk in chunks
        ]
        lost = (KilledWorker, FutureCancelledError, CommClosedError)
        try:
            for future in as_completed(futures):
                yield future.result()
        except lost as error:
            raise WorkerError(
                f"--executor dask: expected the cluster to go on, got {type(error).__name__}. "
                f"Finished samples are kept; run the same command to continue."
            ) from error
        finally:
            self._client.cancel(futures)
            self._client.close()


def run_elsewhere(job: Job, indices: Sequence[int], version: str) -> list[Outcome]:
    """Make some samples on another machine.

    Args:
        job: What to make.
        indices: Which samples.
        version: Of the package on the machine that asks.

    Raises:
        WorkerError: If the version here is another one.
        MflAdaptError: If settings or the disk are at fault.
    """
    import cv2

    if version != __version__:
        raise WorkerError(
            f"--executor dask: expected mfl-adapt {version} on every worker, got {__version__}. "
            f"Install the same version everywhere."
        )
    cv2.setNumThreads(1)
    return run_chunk(job, indices)
