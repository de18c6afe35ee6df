"""How much faster is another adapter on a base in memory than base and adapter anew?

    python benchmarks/adapters.py [--base facelift.tiny] [--checkpoint FILE] [--rank 16] [--runs 5]

Two LoRA adapters with random weights are saved for the base. Then, in turn and in one process, one
is swapped for the other on the base in memory (``mfl.swap_adapter``), and base and adapter are
loaded from their files, which the operating system has in its cache by then. Both ways end with
the same checks of the passport and the same proof of effect. Printed are the medians, their
ratio, and where the time of a swap goes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from mfl_adapt_lora_gslrm.config import LoraConfig
from mfl_adapt_lora_gslrm.lora import Lora

import mfl_adapt as mfl
from mfl_adapt.adapter import attach, base_tensors, prove, read_adapter, save


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time of a hot swap against loading anew.")
    parser.add_argument("--base", default="facelift.tiny", help="A base that makes Gaussians.")
    parser.add_argument("--checkpoint", help="Its weights, where they do not ship with it.")
    parser.add_argument("--rank", type=int, default=16, help="Of both adapters.")
    parser.add_argument("--runs", type=int, default=5, help="Of each way; medians are printed.")
    args = parser.parse_args()
    settings = {} if args.checkpoint is None else {"checkpoint": args.checkpoint}
    with tempfile.TemporaryDirectory() as root:
        base = mfl.load_base(args.base, **settings)
        folders = [make(base, args.rank, seed, Path(root) / str(seed)) for seed in (1, 2)]
        adapter = mfl.load_adapter(base, folders[0])
        swaps, anew = [], []
        for run in range(args.runs):
            folder = folders[(run + 1) % 2]
            started = time.perf_counter()
            adapter = mfl.swap_adapter(adapter, folder)
            swaps.append(time.perf_counter() - started)
            anew.append(seconds(partial(load_anew, args.base, settings, folder)))
        proof = statistics.median(seconds(lambda: prove(adapter)) for _ in range(args.runs))
        reading = statistics.median(
            seconds(lambda: read_adapter(folders[0])) for _ in range(args.runs)
        )
    numbers = sum(tensor.numel() for tensor in base_tensors(base.module).values())
    swap, new = statistics.median(swaps), statistics.median(anew)
    print(f"{args.base}: {numbers / 1e6:.1f} M numbers, LoRA of rank {args.rank} on "
          f"{len(adapter.layers)} layers with {adapter.num_parameters() / 1e6:.2f} M")  # fmt: skip
    print(f"base and adapter anew   {1000 * new:9.1f} ms")
    print(f"swap                    {1000 * swap:9.1f} ms   {new / swap:.1f} times faster")
    print(f"  proof of effect       {1000 * proof:9.1f} ms")
    print(f"  reading the folder    {1000 * reading:9.1f} ms")
    print(f"  all the rest          {1000 * (swap - proof - reading):9.1f} ms")


def make(base: Any, rank: int, seed: int, folder: Path) -> Path:
    """Save an adapter with random weights; the base is without one again."""
    adapter = attach(base, Lora(LoraConfig(r=rank)), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    save(adapter, folder, passport={})
    adapter.remove()
    return folder


def load_anew(name: str, settings: dict[str, Any], folder: Path) -> None:
    """Load the base again, and the adapter on it."""
    mfl.load_adapter(mfl.load_base(name, **settings), folder)


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
