"""What a training step costs with each adapter method, beside one with LoRA.

    python benchmarks/methods.py [--rounds 7] [--steps 3] [--precision bf16]

A step is forward, backward and optimizer on one of the two tiny bases that ship with the package,
every method with its defaults on the same linear layers. What does not depend on the method, such
as drawing Gaussians, is left out, so that the ratios are upper bounds for a whole run. Methods
take turns within a round; a round's ratio is one thread's processor time over that of ``lora`` in
the same round. Printed are the median ratio, the lowest and the highest, and how many numbers are
trained.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor

import mfl_adapt as mfl
from mfl_adapt.adapter import attach
from mfl_adapt.cameras import orbit
from mfl_adapt.plugin import AdapterSpec, Base
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.optim import build_optimizer

Run = Callable[[Base], Tensor]

METHODS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora"},
    "dora": {"method": "dora"},
    "oft": {"method": "oft"},
    "oft, use_cayley_neumann": {"method": "oft", "use_cayley_neumann": True},
    "lokr": {"method": "lokr"},
    "ia3": {"method": "ia3"},
}
VIEWS_TARGETS = ["attention", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]


def reconstruction(base: Any) -> Run:
    """Return what GS-LRM makes of four pictures."""
    size, contract = base.contract.size, base.contract
    rig = orbit(
        (270.0, 0.0, 90.0, 180.0),
        (0.0,) * 4,
        (contract.distance,) * 4,
        (contract.focal_ratio,) * 4,
        size,
    )
    cameras = replace(rig, c2w=rig.c2w[None], fxfycxcy=rig.fxfycxcy[None])
    rgb = torch.rand(1, 4, 3, size, size, generator=torch.Generator().manual_seed(0))

    def run(base: Any) -> Tensor:
        made = base.reconstruct_raw(rgb, cameras)
        return torch.cat([made.xyz.flatten(), made.features.flatten(), made.opacity.flatten()])

    return run


def views(base: Any) -> Run:
    """Return what the denoiser makes of the six views of one object."""
    config, generator = base.module.config, torch.Generator().manual_seed(0)
    side = config.sample_size
    latents = torch.randn(6, config.in_channels, side, side, generator=generator)
    prompts = torch.randn(6, 77, config.cross_attention_dim, generator=generator)
    labels = torch.randn(6, config.projection_class_embeddings_input_dim, generator=generator)
    return lambda base: base.module(latents, 500, prompts, class_labels=labels).sample


def build_step(
    base: Base, component: str, settings: dict[str, Any], run: Run, precision: str
) -> tuple[Callable[[], None], int]:
    """Return one training step on a copy of a base, and how many numbers it trains."""
    host, own = load_plugins([component.partition(".")[0]]), copy.deepcopy(base)
    method = host.build(AdapterSpec, component, settings, where="adapter")
    adapter = attach(own, method, seed=0)
    optimizer, _ = build_optimizer(
        adapter.parameters(), lr=1e-3, weight_decay=0.0, steps=1000, warmup=0
    )
    own.module.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(own).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, adapter.num_parameters()


def seconds(step: Callable[[], None], times: int) -> float:
    """Processor time of one step."""
    before = time.process_time()
    for _ in range(times):
        step()
    return (time.process_time() - before) / times


def compare(base: Base, component: str, shared: dict[str, Any], run: Run, args: Any) -> None:
    """Print the table of one base."""
    made = {
        name: build_step(base, component, settings | shared, run, args.precision)
        for name, settings in METHODS.items()
    }
    for step, _ in made.values():
        step()
    ratios: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(args.rounds):
        taken = {name: seconds(step, args.steps) for name, (step, _) in made.items()}
        for name in METHODS:
            ratios[name].append(taken[name] / taken["lora"])
    print(f"{base.id}, {args.precision}, {args.rounds} rounds of {args.steps} steps")
    for name, (_, count) in made.items():
        low, mid, high = min(ratios[name]), statistics.median(ratios[name]), max(ratios[name])
        print(f"  {name:24} {mid:5.2f} x lora ({low:.2f} to {high:.2f})  {count:>9,} numbers")


def main() -> None:
    """Print one table for each base."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = mfl.load_base("facelift.tiny")
    compare(base, "lora_gslrm.lora", {}, reconstruction(base), args)
    base = mfl.load_base("facelift.tiny_views")
    compare(base, "lora_mvdiffusion.lora", {"targets": VIEWS_TARGETS}, views(base), args)


if __name__ == "__main__":
    main()
