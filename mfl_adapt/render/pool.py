"""Threads that work through the tasks of a kernel."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch

_RANGES_PER_THREAD = 4  # so that a thread with easy tasks can take over some of another's

_pool: ThreadPoolExecutor | None = None
_size = 0


def _forget() -> None:
    """Drop the pool: its threads do not exist in a forked child, where waiting would hang."""
    global _pool, _size
    _pool, _size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _workers(size: int) -> ThreadPoolExecutor:
    global _pool, _size
    if _pool is None or _size != size:
        if _pool is not None:
            _pool.shutdown(wait=False)
        _pool, _size = ThreadPoolExecutor(size, thread_name_prefix="mfl_adapt.render"), size
    return _pool


def run_tasks(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Run ``kernel(low, high, *arguments)`` over ranges that cover ``0 .. tasks`` exactly once.

    Uses as many threads as torch does (``torch.get_num_threads``). The kernel must release the
    interpreter lock and write nothing that another range writes.
    """
    threads = torch.get_num_threads()
    if min(threads, tasks) <= 1:
        kernel(0, tasks, *arguments)
        return
    ranges = min(tasks, threads * _RANGES_PER_THREAD)
    edges = [tasks * k // ranges for k in range(ranges + 1)]
    pool = _workers(threads)
    pending = [pool.submit(kernel, low, high, *arguments) for low, high in pairwise(edges)]
    for result in pending:
        result.result()
