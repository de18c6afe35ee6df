"""Workers on this machine: one process each, none of which imports torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from mfl_adapt.errors import WorkerError
from mfl_adapt.prepare.work import run_chunk

if TYPE_CHECKING:
    from mfl_adapt.prepare.job import Job
    from mfl_adapt.prepare.work import Outcome

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class HereExecutor:
    """Makes everything in the process that asks; for debugging."""

    workers = 1

    def run(self, job: Job, chunks: Sequence[Sequence[int]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of one chunk after the other."""
        return (run_chunk(job, chunk) for chunk in chunks)


class ProcessExecutor:
    """Spreads chunks over processes of this machine."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, job: Job, chunks: Sequence[Sequence[int]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of chunks as they are ready; stops cleanly if left early.

        Raises:
            WorkerError: If a process died.
        """
        # Fresh processes: a fork would inherit OpenCV's and BLAS's threads in an undefined state.
        pool = ProcessPoolExecutor(
            min(self.workers, len(chunks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_worker,
        )
        try:
            with _one_thread_each():
                futures = [pool.submit(run_chunk, job, chunk) for chunk in chunks]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "data: expected every worker process to live, got one that was killed. Finished "
                "samples are kept; if memory ran out, continue with fewer --workers."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start now use one thread for linear algebra."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_worker() -> None:
    """Set a fresh worker process up."""
    import cv2

    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when its parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
