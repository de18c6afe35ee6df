"""What a training step costs: all weights, stock LoRA, and ours.

    python benchmarks/training.py [--rounds 7] [--threads 1] [--rows fp32,bf16] [--tiny 6]

A step is forward, loss on the stored Gaussians, backward and optimizer on a network of width 256
with 6 blocks and random weights, for 6 views of 128 px, batch 1. Every row has a process of its
own, made as a user would: `plain` rows run the same network with torch's fused attention, and with
peft as it is; `ours` run it as `mfl-adapt train` does. One process works at a time, and all take
turns within a round; a ratio compares two rows in one round. With one thread the seconds are the
processor's, as other jobs may share the machine; with several they are the clock's.

Then, for the blocks alone: floating-point operations that are necessary (no recomputation) over
seconds of forward and backward, beside the rate of one large matrix product in the same process.
At last, where the time of a step of the quickstart on the tiny base goes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import MethodType
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from mfl_adapt_lora_gslrm.config import LoraConfig
from mfl_adapt_lora_gslrm.lora import Lora
from torch import Tensor, nn

from mfl_adapt.adapter import attach
from mfl_adapt.cameras import orbit
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.optim import build_optimizer

NETWORK = GSLRMConfig(image_size=128, d=256, d_head=64, n_layer=6)
VIEWS, SIZE, RANK = 6, 128, 16
LAST_THIRD = ("transformer_layers.4.*", "transformer_layers.5.*")
SQUARE = 2048  # of the matrix product that says how fast the machine is


@dataclass(frozen=True)
class Row:
    """One way to train.

    Attributes:
        name: As printed.
        targets: Layers with LoRA; None trains all weights.
        plain: As a user without this package would.
        keeps: Whether the prefix is kept; else it is computed anew.
    """

    name: str
    targets: str | tuple[str, ...] | None
    plain: bool = False
    keeps: bool = False


ROWS = (
    Row("all weights, plain", None, plain=True),
    Row("all linears, stock peft", "all-linear", plain=True),
    Row("all linears, ours", "all-linear", keeps=True),
    Row("last third, stock peft", LAST_THIRD, plain=True),
    Row("last third, ours", LAST_THIRD),
    Row("last third, ours, prefix kept", LAST_THIRD, keeps=True),
)


class Trainee:
    """A network in training in one of the ways."""

    def __init__(self, row: Row, precision: str) -> None:
        generator = torch.Generator().manual_seed(0)
        module = GSLRM(NETWORK, generator=generator)
        self.base = FrozenGSLRM(module, id="benchmark", sha256="0" * 64)
        self.half = precision == "bf16"
        rig = orbit(tuple(range(0, 360, 60)), (0.0,) * VIEWS, (2.7,) * VIEWS, (1.07,) * VIEWS, SIZE)
        self.cameras = replace(rig, c2w=rig.c2w[None], fxfycxcy=rig.fxfycxcy[None])
        self.rgb = torch.rand(1, VIEWS, 3, SIZE, SIZE, generator=generator)
        self.stack = ExitStack()
        if row.targets is None:
            parameters = list(module.requires_grad_().parameters())
        else:
            adapter = attach(self.base, Lora(LoraConfig(r=RANK, targets=row.targets)), seed=0)
            parameters = adapter.parameters()
            if not row.plain:
                self.stack.enter_context(fast_training(adapter))
                module.prefix = module.prefix if row.keeps else None
        if row.plain:
            attend_plainly(module)
        self.optimizer, _ = build_optimizer(
            parameters, lr=1e-4, weight_decay=0.0, steps=10**6, warmup=0
        )
        module.train()

    def autocast(self) -> torch.autocast:
        """The number format of the blocks."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.half)

    def step(self) -> None:
        """Forward, loss, backward, optimizer."""
        with self.autocast():
            made = self.base.reconstruct_raw(self.rgb, self.cameras)
        parts = (made.xyz, made.features, made.scaling, made.rotation, made.opacity)
        torch.stack([part.square().mean() for part in parts]).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def blocks(self) -> None:
        """Forward and backward of all blocks, with a fixed gradient at their end."""
        tokens = VIEWS * (SIZE // NETWORK.patch_size) ** 2 + NETWORK.n_gaussians
        given = torch.ones(1, tokens, NETWORK.d).cumsum(1).sin()
        with self.autocast():
            made = self.base.module.transform(given)
        made.backward(given)
        self.optimizer.zero_grad(set_to_none=True)

    def product(self) -> None:
        """One large matrix product."""
        dtype = torch.bfloat16 if self.half else torch.float32
        one = torch.ones(SQUARE, SQUARE, dtype=dtype)
        torch.mm(one, one, out=torch.empty_like(one))


def attend_plainly(module: GSLRM) -> None:
    """Let all blocks attend by torch's fused kernel, as a plain program does."""

    def forward(self: Any, tokens: Tensor) -> Tensor:
        qkv = self.to_qkv(tokens).unflatten(-1, (3, -1, self.d_head)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(*qkv.unbind())
        return self.fc(mixed.transpose(1, 2).flatten(start_dim=2))

    for block in module.transformer_layers:
        block.attn.forward = MethodType(forward, block.attn)


def necessary_flops(row: Row) -> float:
    """Count operations of the blocks, forward and backward; a multiplication and an addition."""
    tokens = VIEWS * (SIZE // NETWORK.patch_size) ** 2 + NETWORK.n_gaussians
    d, blocks = NETWORK.d, NETWORK.n_layer
    linear, attention = 2 * tokens * 12 * d**2, 4 * tokens**2 * d
    if row.targets is None:
        return blocks * (3 * linear + 3 * attention)
    trained = blocks if row.targets == "all-linear" else len(row.targets)
    low_rank = 2 * tokens * RANK * (d + 3 * d + d + d + 2 * (d + 4 * d))
    # Below the first layer that is trained nothing needs a gradient.
    unneeded = 2 * tokens * d * 3 * d + 2 * tokens * d * RANK
    backward = trained * (linear + 2 * attention + 2 * low_rank) - unneeded
    return blocks * (linear + attention) + trained * low_rank + backward


def serve(row: Row, precision: str, threads: int, channel: Any) -> None:
    """Do what the channel says, and answer with the seconds; the life of a process."""
    torch.set_num_threads(threads)
    trainee = Trainee(row, precision)
    clock = time.process_time if threads == 1 else time.perf_counter
    while (name := channel.recv()) is not None:
        before = clock()
        getattr(trainee, name)()
        channel.send(clock() - before)


@contextmanager
def workers(rows: Mapping[Any, Row], threads: int) -> Iterator[dict[Any, Callable[[str], float]]]:
    """Start a process for each row; calling it with the name of a method times that."""
    context = multiprocessing.get_context("spawn")
    ends, processes = {}, []
    for key, row in rows.items():
        ends[key], theirs = context.Pipe()
        process = context.Process(target=serve, args=(row, key[0], threads, theirs), daemon=True)
        process.start()
        processes.append(process)

    def ask(key: Any, name: str) -> float:
        ends[key].send(name)
        return float(ends[key].recv())

    try:
        yield {key: partial(ask, key) for key in rows}
    finally:
        for key in rows:
            ends[key].send(None)
        for process in processes:
            process.join()


def compare(precisions: list[str], threads: int, rounds: int) -> None:
    """Print seconds, ratios and rates of all rows."""
    rows = {(precision, row.name): row for precision in precisions for row in ROWS}
    seconds: dict[Any, dict[str, list[float]]] = {
        key: {"step": [], "blocks": [], "product": []} for key in rows
    }
    with workers(rows, threads) as started:
        for ask in started.values():
            for name in ("step", "step", "blocks", "product"):
                ask(name)
        for _ in range(rounds):
            for name in ("step", "blocks", "product"):
                for key, ask in started.items():
                    seconds[key][name].append(ask(name))
    print(f"{threads} threads, {rounds} rounds; seconds of a step (lowest to highest)")
    print(f"{'':36}{'seconds':>22}{'/ full fp32':>13}{'/ stock':>9}{'rate':>7}{'blocks':>8}{'':>5}")
    for key, row in rows.items():
        print_row(key, row, seconds)


def print_row(key: Any, row: Row, seconds: Mapping[Any, Mapping[str, list[float]]]) -> None:
    """Print the line of one row."""
    precision, mine = key[0], seconds[key]
    step = mine["step"]
    against_full = ratio(step, seconds.get(("fp32", ROWS[0].name), mine)["step"])
    stock = ROWS[3 if isinstance(row.targets, tuple) else 1].name
    against_stock = "" if row.targets is None else ratio(step, seconds[precision, stock]["step"])
    rate = 2 * SQUARE**3 / statistics.median(mine["product"]) / 1e9
    reached = necessary_flops(row) / statistics.median(mine["blocks"]) / 1e9
    times = f"{statistics.median(step):.3f} ({min(step):.3f} to {max(step):.3f})"
    print(
        f"{precision} {row.name:31}{times:>22}{against_full:>13}{against_stock:>9}"
        f"{rate:7.0f}{reached:8.0f}{reached / rate:5.0%}"
    )


def ratio(own: list[float], other: list[float]) -> str:
    """Median of the ratios of single rounds."""
    return f"{statistics.median(a / b for a, b in zip(own, other, strict=True)):.2f}"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", default="fp32,bf16", help="Number formats.")
    parser.add_argument("--tiny", type=int, default=6, help="Steps of the quickstart; 0 for none.")
    args = parser.parse_args()
    if args.rounds:
        compare(args.rows.split(","), args.threads, args.rounds)
    if args.tiny:
        from quickstart_steps import dissect

        dissect(args.tiny, args.threads)


if __name__ == "__main__":
    main()
