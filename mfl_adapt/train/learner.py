"""Everything about a run that changes from step to step, to be stored and restored as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mfl_adapt.errors import CheckpointError, TrainingError
from mfl_adapt.pipeline import OpenRun
from mfl_adapt.plugin import Pace, PacedMethod, Stateful
from mfl_adapt.train.average import MovingAverage
from mfl_adapt.train.checkpoints import State
from mfl_adapt.train.guards.watch import Watch
from mfl_adapt.train.joined import Joiner
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.randomness import RandomState, capture_random, restore_random
from mfl_adapt.train.session import Session


class Best(NamedTuple):
    """The best adapter so far.

    Attributes:
        step: When it was.
        psnr_db: Mean foreground PSNR of held-out views.
    """

    step: int
    psnr_db: float


@dataclass(slots=True, eq=False)
class Learner:
    """Weights in training, what moves them, and what watches them.

    Attributes:
        named: The adapter's parameters by their names in the network.
        buffers: Tensors of its own network that are no parameters but may change.
        optimizer: In the accelerator's care.
        schedule: Of the learning rate.
        scaler: Of fp16 losses; None without one.
        average: Of the weights; None without one.
        watch: The guards.
        remembering: View policy and losses that remember something, by their place in the
            configuration.
        joiner: What puts the shares of several processes together.
        best: None as long as nothing was measured.
        done: Optimizer steps done.
    """

    named: Mapping[str, nn.Parameter]
    buffers: Mapping[str, Tensor]
    optimizer: Any
    schedule: LambdaLR
    scaler: Any
    average: MovingAverage | None
    watch: Watch
    remembering: Mapping[str, Stateful]
    joiner: Joiner = field(default_factory=Joiner)
    best: Best | None = None
    done: int = 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The adapter's parameters."""
        return list(self.named.values())

    def capture(self) -> State:
        """Return everything that training needs to go on exactly here."""
        random = capture_random()
        plain = {
            "schedule": _without_functions(self.schedule.state_dict()),
            "rates": [group["lr"] for group in self._inner.param_groups],
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "average": None if self.average is None else self.average.updates,
            "random": random.plain,
            "remembered": {name: dict(one.state()) for name, one in self.remembering.items()},
            "guards": self.watch.state(),
            "best": None if self.best is None else self.best._asdict(),
        }
        tensors = dict(self._tensors())
        tensors |= {f"random/{name}": one for name, one in random.tensors.items()}
        for rank, other in enumerate(self.joiner.random[1:], start=1):
            plain[_random_of(rank)] = other.plain
            tensors |= {f"{_random_of(rank)}/{name}": one for name, one in other.tensors.items()}
        return State(tensors, plain)

    def restore(self, state: State, step: int) -> None:
        """Go back to where ``capture`` was called.

        Raises:
            CheckpointError: If the state is that of another adapter, optimizer or plugin.
        """
        plain = state.plain
        try:
            self._restore_tensors(state.tensors)
            for group, rate in zip(self._inner.param_groups, plain["rates"], strict=True):
                group["lr"] = rate
            # Functions cannot be stored; the schedule has its own.
            self.schedule.load_state_dict(
                plain["schedule"] | {"lr_lambdas": [None] * len(plain["rates"])}
            )
            if self.scaler is not None and plain["scaler"] is not None:
                self.scaler.load_state_dict(plain["scaler"])
            if self.average is not None:
                self.average.updates = int(plain["average"])
            for name, one in self.remembering.items():
                one.restore(plain["remembered"][name])
            self.watch.restore(plain["guards"])
            self.best = None if plain["best"] is None else Best(**plain["best"])
            mine = _random_of(self.joiner.processes.rank)
            # Fewer processes may have written it; what they do not say begins anew.
            if mine in plain:
                devices = _below(state.tensors, f"{mine}/")
                restore_random(RandomState(devices, plain[mine]))
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise CheckpointError(
                f"resume: expected the state of this run's adapter and plugins, got one that does "
                f"not fit ({type(error).__name__}: {error}). Go on with the versions that wrote it."
            ) from error
        self.done = step

    @torch.no_grad()
    def align(self) -> None:
        """Begin with the weights of the main process in all processes."""
        if self.joiner.processes.count == 1:
            return
        tensors = [*self.named.values(), *self.buffers.values()]
        values = self.joiner.processes.tell([one.detach().cpu() for one in tensors])
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)

    @property
    def num_bytes(self) -> int:
        """About how much a checkpoint takes: weights, two moments, average, and the adapter."""
        weights = sum(one.numel() * one.element_size() for one in self.named.values())
        return weights * (4 if self.average is None else 5)

    @property
    def _inner(self) -> torch.optim.Optimizer:
        inner: torch.optim.Optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return inner

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors by name; weights that the optimizer has not moved yet have no moments."""
        for name, parameter in self.named.items():
            yield f"weights/{name}", parameter.detach()
            for key, value in self._inner.state.get(parameter, {}).items():
                yield f"optimizer/{key}/{name}", torch.as_tensor(value)
        for name, buffer in self.buffers.items():
            yield f"buffers/{name}", buffer.detach()
        if self.average is not None:
            for name, mean in zip(self.named, self.average.means, strict=True):
                yield f"average/{name}", mean

    @torch.no_grad()
    def _restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy stored values into the tensors of this run.

        Raises:
            KeyError: If one is missing.
            RuntimeError: If a shape differs.
        """
        stored = {name for name in tensors if name.startswith("weights/")}
        if stored != {f"weights/{name}" for name in self.named}:
            raise KeyError("other weights")
        for name, parameter in self.named.items():
            _copy(parameter, tensors[f"weights/{name}"])
        for name, buffer in self.buffers.items():
            _copy(buffer, tensors[f"buffers/{name}"])
        if self.average is not None:
            for name, mean in zip(self.named, self.average.means, strict=True):
                _copy(mean, tensors[f"average/{name}"])
        self._restore_moments(tensors)

    def _restore_moments(self, tensors: Mapping[str, Tensor]) -> None:
        moments = _below(tensors, "optimizer/")
        state: dict[int, dict[str, Tensor]] = {}
        names = {id(parameter): name for name, parameter in self.named.items()}
        index = 0
        for group in self._inner.param_groups:
            for parameter in group["params"]:
                name = names[id(parameter)]
                of_it = {
                    key.partition("/")[0]: value
                    for key, value in moments.items()
                    if key.partition("/")[2] == name
                }
                if of_it:
                    state[index] = of_it
                index += 1
        groups = self._inner.state_dict()["param_groups"]
        self._inner.load_state_dict({"state": state, "param_groups": groups})


def open_learner(run: Session, accelerator: Accelerator) -> Learner:
    """Build everything that moves the weights of a run, at its beginning."""
    settings, adapter, method = run.config.train, run.adapter, run.opened.method
    named = adapter.named_parameters()
    paces = [method.pace(name) if isinstance(method, PacedMethod) else Pace() for name in named]
    optimizer, schedule = build_optimizer(
        named.values(),
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        steps=settings.steps,
        warmup=settings.warmup,
        paces=paces,
    )
    extra = {} if adapter.extra is None else dict(adapter.extra.named_buffers())
    return Learner(
        named=named,
        buffers=extra,
        # The accelerator can only take the factor out of the gradients of an optimizer that it
        # knows; they would be clipped with it otherwise.
        optimizer=accelerator.prepare_optimizer(optimizer),
        schedule=schedule,
        scaler=accelerator.scaler,
        average=None if settings.ema is None else MovingAverage(named.values(), settings.ema),
        watch=Watch(settings, [one[0] for one in run.opened.losses]),
        remembering=_remembering(run.opened),
        joiner=Joiner(run.processes, settings.batch),
    )


def check_memories(opened: OpenRun, count: int) -> None:
    """Raise if a loss remembers something, and each of several processes would other samples.

    A view policy may: it is asked about all samples in every process.

    Raises:
        TrainingError: Naming the loss.
    """
    losses = [name for name in _remembering(opened) if name != "data.views"]
    if losses and count > 1:
        raise TrainingError(
            f"{losses[0]}: expected a loss that remembers nothing, as each of {count} processes "
            "sees other samples, got one that does. Train in one process."
        )


def _remembering(opened: OpenRun) -> dict[str, Stateful]:
    named: dict[str, Any] = {"data.views": opened.data.policy}
    named |= {f"losses.{one[0]}": one[2] for one in opened.losses}
    return {name: one for name, one in named.items() if isinstance(one, Stateful)}


def _random_of(rank: int) -> str:
    """Name in a checkpoint of the random generators of a process."""
    return "random" if rank == 0 else f"random_of_process_{rank}"


def _without_functions(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "lr_lambdas"}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
    }


def _copy(into: Tensor, value: Tensor) -> None:
    if into.shape != value.shape:
        raise ValueError(f"shape {list(value.shape)} for {list(into.shape)}")
    into.copy_(value)
