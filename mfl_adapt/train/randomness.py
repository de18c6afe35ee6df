"""The state of every source of random numbers that is not a function of seed and step.

Batches, views, noise and backgrounds are drawn anew for each step from the seed and the step's
number. What is left are the global generators, which dropout and plugins use.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Random streams that share the user's one seed; batches and noise have those before it.
_PROCESS = 5


class RandomState(NamedTuple):
    """Where all global generators are.

    Attributes:
        tensors: Of torch, by device.
        plain: Of Python and numpy, as JSON values.
    """

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]


def capture_random() -> RandomState:
    """Return where the generators are."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"cuda.{index}"] = state
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    plain = {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, [int(key) for key in keys], position, has_gauss, cached],
    }
    return RandomState(tensors, plain)


def restore_random(state: RandomState) -> None:
    """Put the generators back; GPUs that this machine does not have are left out."""
    torch.set_rng_state(state.tensors["cpu"])
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"cuda.{index}" in state.tensors:
                torch.cuda.set_rng_state(state.tensors[f"cuda.{index}"], index)
    version, numbers, gauss = state.plain["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, position, has_gauss, cached = state.plain["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def seed_of(seed: int, rank: int) -> int:
    """Return the seed of a process's generators: that of the run for the main one, its own else.

    Args:
        seed: Of the run, from 0 to 2**32 - 1.
        rank: Of the process, from 0.
    """
    if rank == 0:
        return seed
    stream = np.random.SeedSequence([seed, _PROCESS, rank])
    return int(stream.generate_state(1)[0])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a block draw random numbers without any effect on what comes after it."""
    before = capture_random()
    try:
        yield
    finally:
        restore_random(before)
