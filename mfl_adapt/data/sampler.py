"""Which samples a training step sees, as a pure function of seed and step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import DataError

# Two independent random streams that share the user's one seed.
_ORDER, _VIEWS = 0, 1
_LARGEST_SEED = 2**32 - 1


class Draw(NamedTuple):
    """One example of a batch.

    Attributes:
        sample: Index of the sample in the dataset.
        seed: Seed of its view policy, in [0, 2**32).
    """

    sample: int
    seed: int


class StepSampler:
    """Shuffled epochs without state: step k can be asked for without steps 0 to k-1.

    Every sample is seen once per epoch, in an order of that epoch's own; a batch may reach over
    into the next epoch. A resumed run so continues with the very batches of an unbroken one.
    """

    def __init__(self, indices: Sequence[int], *, batch: int, seed: int) -> None:
        """Set up the order.

        Args:
            indices: Samples to draw from (the training side of a split).
            batch: Examples per step.
            seed: Seed of the run, from 0 to 2**32 - 1.

        Raises:
            DataError: If there is nothing to draw from.
            RangeError: If the batch is below 1 or the seed outside its range.
        """
        if not indices:
            raise DataError(
                "sampler: expected at least one training sample, got none. Lower "
                "data.split.validation or add data."
            )
        check_range("train.batch", batch, 1, math.inf)
        check_range("seed", seed, 0, _LARGEST_SEED)
        self._indices, self._batch, self._seed = tuple(indices), batch, seed
        self._permutation = lru_cache(maxsize=2)(self._shuffled)

    def draws(self, step: int) -> tuple[Draw, ...]:
        """Return the examples of one step.

        Args:
            step: Optimizer step, from 0.

        Returns:
            ``batch`` draws; the same for the same seed, step, indices and batch, on any machine.

        Raises:
            RangeError: If the step is negative.
        """
        check_range("sampler: step", step, 0, math.inf)
        first = step * self._batch
        return tuple(self._draw(position) for position in range(first, first + self._batch))

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, len(self._indices))
        stream = np.random.SeedSequence([self._seed, _VIEWS, position])
        return Draw(self._permutation(epoch)[place], int(stream.generate_state(1)[0]))

    def _shuffled(self, epoch: int) -> tuple[int, ...]:
        # Raw bits and a stable sort: NumPy keeps these streams fixed over its versions, which
        # it does not promise of Generator.permutation.
        stream = np.random.PCG64(np.random.SeedSequence([self._seed, _ORDER, epoch]))
        keys = stream.random_raw(len(self._indices))
        return tuple(self._indices[place] for place in np.argsort(keys, kind="stable"))
