"""Samples drawn on demand, kept in memory, and on disk if asked to."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from mfl_adapt.cameras import FACELIFT_FOCAL_RATIO
from mfl_adapt.errors import DataError
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Sample

from .cache import SampleCache
from .config import ProceduralConfig

_log = logging.getLogger(__name__)

_DEFAULT_VIEWS = 8
_DEFAULT_ELEVATION_DEG = (20.0, 20.0)
# Fewer samples than this are rendered sooner than a worker process starts.
_LEAST_FOR_WORKERS = 8


class ProceduralReader:
    """Samples of one species and split; sample k is the same on every machine and run."""

    def __init__(self, config: ProceduralConfig) -> None:
        """Remember the settings; nothing is rendered before it is asked for."""
        self._config = config
        self._samples: list[Sample | None] = [None] * config.samples
        self._cache = SampleCache(config.cache, config) if config.cache is not None else None

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._config.samples

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in their fixed order.

        Raises:
            DataError: If a worker process died, or a cached file is damaged.
        """
        missing = [index for index in range(len(self)) if not self._find(index)]
        if self._config.workers and len(missing) >= _LEAST_FOR_WORKERS:
            yield from self._iterate_with_workers(missing)
        else:
            for index in range(len(self)):
                yield self[index]

    def __getitem__(self, index: int) -> Sample:
        """Return one sample, rendering it if nobody has.

        Raises:
            IndexError: If the index is not from -len to len - 1, as for a list.
            DataError: If a cached file is damaged.
        """
        index = range(len(self))[index]
        if not self._find(index):
            self._keep(index, draw(index, self._config))
        sample = self._samples[index]
        assert sample is not None
        return sample

    def _find(self, index: int) -> bool:
        # Whether the sample is in memory, after a look on the disk.
        if self._samples[index] is None and self._cache is not None:
            self._samples[index] = self._cache.load(index)
        return self._samples[index] is not None

    def _keep(self, index: int, sample: Sample) -> None:
        self._samples[index] = sample
        if self._cache is not None:
            self._cache.save(index, sample)

    def _iterate_with_workers(self, missing: Sequence[int]) -> Iterator[Sample]:
        # Spawned processes share no locks or threads with this one, unlike forked ones.
        workers = min(self._config.workers, len(missing))
        _log.info("rendering %d samples with %d processes", len(missing), workers)
        waiting = set(missing)
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        try:
            with _deaf_to_ctrl_c():
                drawn = pool.map(partial(draw, config=self._config), missing, chunksize=4)
            for index in range(len(self)):
                if index in waiting:
                    self._keep(index, _next_of(drawn))
                yield self[index]
        finally:
            # Whoever stops early does not wait for samples that nobody wants.
            pool.shutdown(cancel_futures=True)


def draw(index: int, config: ProceduralConfig) -> Sample:
    """Render one sample as the settings say."""
    return render_sample(
        config.species,
        index,
        config.split,
        rig=config.rig,
        size=config.size,
        num_views=config.num_views or _DEFAULT_VIEWS,
        stream=config.seed,
        elevation_deg=config.elevation_deg or _DEFAULT_ELEVATION_DEG,
        focal_ratio=config.focal_ratio or FACELIFT_FOCAL_RATIO,
    )


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    # A terminal sends Ctrl-C to every process. The one that reads ends those that are started in
    # here; left to themselves, each would print a traceback.
    if threading.current_thread() is not threading.main_thread():
        yield  # where signals cannot be changed
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _next_of(drawn: Iterator[Sample]) -> Sample:
    # The pool's own error says nothing about what to do.
    try:
        return next(drawn)
    except BrokenProcessPool as error:
        raise DataError(
            "procedural: expected worker processes to finish, but one died. In a script, put the "
            'code under if __name__ == "__main__":, or set workers: 0.'
        ) from error
