"""Where the time of the quickstart's steps goes; a part of ``training.py``."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mfl_adapt.adapter import attach
from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.data import StepSampler
from mfl_adapt.pipeline import OpenRun, open_run
from mfl_adapt.plugin import LossContext
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.render import render
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.objective import build_objective
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.reconstruction import pixel_positions
from mfl_adapt.train.views import next_batch

OVERRIDES = ("data.reader.samples=8", "data.split.validation=0.25", "data.split.gap=0")
PARTS = ("data", "forward", "render", "losses", "backward", "optimizer")


class Stopwatch:
    """Processor time by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a ``with`` block."""
        before = time.process_time()
        yield
        self.seconds[name].append(time.process_time() - before)


def dissect(steps: int, threads: int) -> None:
    """Print the share of each part in a step of the quickstart on the tiny base."""
    torch.set_num_threads(threads)
    loaded = load_config("quickstart", overrides=OVERRIDES)
    host = load_plugins(loaded.config.plugins)
    opened = open_run(claim_slots(loaded, host), host)
    for precision in ("fp32", "bf16"):
        watch = Stopwatch()
        train(opened, precision == "bf16", steps, watch)
        medians = {name: statistics.median(watch.seconds[name][1:]) for name in PARTS}
        whole = sum(medians.values())
        shares = ", ".join(f"{name} {one / whole:.0%}" for name, one in medians.items())
        print(f"{opened.base.id}, quickstart, {precision}: {whole:.3f} s a step: {shares}")


def train(opened: OpenRun, half: bool, steps: int, watch: Stopwatch) -> None:
    """Train a fresh adapter for some steps, timing each part, and take it off again."""
    data, contract, settings = opened.data, opened.data.contract, opened.config.train
    adapter = attach(opened.base, opened.method, seed=0)
    optimizer, _ = build_optimizer(
        adapter.parameters(), lr=settings.lr, weight_decay=0.0, steps=1000, warmup=0
    )
    sampler = StepSampler(data.split.train, batch=settings.batch, seed=0)
    objective = build_objective(opened.losses)
    opened.base.module.train()
    with fast_training(adapter):
        for step in range(steps + 1):
            with watch.part("data"):
                batch = next_batch(data, sampler, step)
            inputs, targets = batch.inputs, batch.targets
            with watch.part("forward"), torch.autocast("cpu", torch.bfloat16, enabled=half):
                made = opened.base.reconstruct(inputs.rgb, inputs.cameras)
            with watch.part("render"):
                drawn = render(made, targets.cameras, background=contract.background, depth=False)
            with watch.part("losses"):
                positions = pixel_positions(opened.base, made, batch)
                context = LossContext(
                    contract, step, made, targets.cameras, drawn.alpha, inputs=inputs,
                    positions=positions,
                )  # fmt: skip
                total = objective(drawn.rgb, targets.rgb, targets.mask, context).total
            with watch.part("backward"):
                total.backward()
            with watch.part("optimizer"):
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
    adapter.remove()
