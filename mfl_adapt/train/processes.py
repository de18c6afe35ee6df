"""The processes that train a run together: what they tell each other, and how one's end is noticed.

Each process takes its share of every batch; everything else is the same in all of them. The main
one alone writes. They only ever meet in ``exchange`` and ``add_up``, so that an error of one
reaches all others where they meet next, and nobody waits for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.errors import MflAdaptError, TrainingError
from mfl_adapt.plugin import Finding
from mfl_adapt.train.guards.stop import GuardError
from mfl_adapt.train.launched import ElsewhereError, LostProcessError

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long one waits for another: a death is noticed at once, and a long drawing is no death."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a process tells the others when an error ends it.

    Attributes:
        message: Of the error.
        finding: Of the guard that stopped it, if one did.
        step: Of that guard.
    """

    message: str
    finding: Finding | None = None
    step: int = 0

    @classmethod
    def of(cls, error: MflAdaptError) -> Failure:
        """Describe an error."""
        if isinstance(error, GuardError):
            return cls(str(error), error.finding, error.step)
        return cls(str(error))

    def to_error(self) -> TrainingError:
        """Return what the other processes raise."""
        if self.finding is not None:
            return GuardError(self.finding, self.step)
        return ElsewhereError(self.message)


class Processes:
    """One process alone, which has nobody to tell anything.

    Attributes:
        count: How many there are.
        rank: Which one this is, from 0, the main one.
    """

    count, rank = 1, 0

    @property
    def is_main(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def share(self, total: int) -> range:
        """Return the places of a batch that are this process's: neighbours, as even as they go."""
        size, rest = divmod(total, self.count)
        first = self.rank * size + min(self.rank, rest)
        return range(first, first + size + (self.rank < rest))

    def exchange(self, value: T) -> list[T]:
        """Return what each process gives here, in their order."""
        return [value]

    def tell(self, value: T) -> T:
        """Return what the main process gives here."""
        return self.exchange(value)[0]

    def on_main(self, work: Callable[[], T]) -> T | None:
        """Let the main process do something while the others wait; None to those."""
        done = work() if self.is_main else None
        self.exchange(None)
        return done

    def one_after_the_other(self, work: Callable[[], T]) -> T:
        """Let the main process do something first, and then all others."""
        if self.is_main:
            done = work()
            self.exchange(None)
            return done
        self.exchange(None)
        return work()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes, the same bits in each of them."""

    def part(self) -> None:
        """Go on without the others, who must not be expected to meet this one again."""

    def close(self) -> None:
        """Give the connection up."""

    @contextmanager
    def sharing_errors(self) -> Iterator[None]:
        """Let an error of one process inside a ``with`` block end all of them.

        Raises:
            MflAdaptError: The same again.
        """
        yield


class Group(Processes):
    """Several processes, connected by gloo on any device.

    Sums take a few megabytes over a wire per step, which even many GPUs hardly notice, and on
    the CPU the order of summands can be fixed. And what tests run on a CPU is what runs on GPUs.
    """

    def __init__(self) -> None:
        """Meet the others."""
        self.count, self.rank = dist.get_world_size(), dist.get_rank()
        self._group: Any = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._open = True

    def exchange(self, value: T) -> list[T]:
        """Return what each process gives here, in their order.

        Raises:
            ElsewhereError: If another one gives an error.
            GuardError: If that is the error of a guard.
            LostProcessError: If another one is gone.
        """
        return self._open_all(self._exchange(value))

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes, the same bits in each of them.

        Each process adds one part of all numbers, in the order of the processes, and hands the
        sums around: no order of arrival and no layout of the network changes a bit.

        Raises:
            LostProcessError: If another one is gone.
        """
        flat = torch.cat([one.detach().reshape(-1).float().cpu() for one in tensors])
        part = -(-flat.numel() // self.count)
        mine = torch.nn.functional.pad(flat, (0, part * self.count - flat.numel()))
        theirs, sums = torch.empty_like(mine), torch.empty_like(mine)
        with _noticing_ends(self.count):
            dist.all_to_all_single(theirs, mine, group=self._group)
            total = theirs[:part].clone()
            for other in range(1, self.count):
                total += theirs[other * part : (other + 1) * part]
            dist.all_gather(list(sums.split(part)), total, group=self._group)
        pieces = sums[: flat.numel()].split([one.numel() for one in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))

    def part(self) -> None:
        """Go on without the others, who must not be expected to meet this one again."""
        self._open = False

    def close(self) -> None:
        """Give the connection up."""
        self._open = False
        if dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def sharing_errors(self) -> Iterator[None]:
        """Let an error of one process inside a ``with`` block end all of them.

        Raises:
            LostProcessError: The same again.
            MflAdaptError: The same again.
        """
        try:
            yield
        except LostProcessError:
            raise
        except MflAdaptError as error:
            if self._open and not getattr(error, _SHARED, False):
                self._share(Failure.of(error))
            raise

    def _share(self, failure: Failure) -> None:
        try:
            self._exchange(failure)
        except LostProcessError as error:
            # The first error says more than that another process did not wait to hear of it.
            log.debug("%s", error)

    def _exchange(self, value: object) -> list[Any]:
        given: list[Any] = [None] * self.count
        with _noticing_ends(self.count):
            dist.all_gather_object(given, value, group=self._group)
        return given

    def _open_all(self, given: list[Any]) -> list[Any]:
        """Raise what another process raised.

        Raises:
            TrainingError: Of the first process that gave an error.
        """
        for one in given:
            if isinstance(one, Failure):
                error = one.to_error()
                setattr(error, _SHARED, True)
                raise error
        return given


_SHARED = "shared_by_all_processes"


def open_processes(accelerator: Accelerator) -> Processes:
    """Return the processes that an accelerator was started with."""
    return Group() if accelerator.num_processes > 1 else Processes()


def check_batch(batch: int, count: int) -> None:
    """Raise unless there is a sample of each batch for each process.

    Raises:
        TrainingError: If there is none for some.
    """
    if batch < count:
        raise TrainingError(
            f"train.batch: expected at least {count}, a sample of each step for each of {count} "
            f"processes, got {batch}. Use --set train.batch={count}, or start fewer processes."
        )


def check_the_same(processes: Processes, what: str, mine: Mapping[str, Any]) -> None:
    """Raise unless all processes are about to train the same.

    Args:
        processes: All of them.
        what: Said in the message.
        mine: What must be alike, by name.

    Raises:
        TrainingError: Naming what differs.
    """
    for rank, theirs in enumerate(given := processes.exchange(dict(mine))):
        names = sorted(given[0].keys() | theirs.keys())
        others = [name for name in names if given[0].get(name) != theirs.get(name)]
        if others:
            raise TrainingError(
                f"train: expected {what} of process {rank} to be that of process 0, got others: "
                f"{', '.join(others[:5])}. Give all processes the same files and settings."
            )


@contextmanager
def _noticing_ends(count: int) -> Iterator[None]:
    """Turn a broken connection into an error of ours.

    Raises:
        LostProcessError: If another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        # The library has no narrower class for it on every backend.
        log.debug("a process is gone: %s", error)
        raise LostProcessError(
            f"train: expected {count} processes to the end, got one that is gone. What it wrote "
            "last, or the system's log, says why; go on with --resume."
        ) from error
