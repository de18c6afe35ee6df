"""Chooses how to train within so much memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mfl_adapt.cameras import orbit
from mfl_adapt.config import LoadedConfig, RunConfig
from mfl_adapt.errors import ConfigError, DataError, TrainingError
from mfl_adapt.pipeline import makes
from mfl_adapt.pipeline.sections import required
from mfl_adapt.plugin import (
    AdapterMethod,
    AdapterSpec,
    Base,
    LossSpec,
    ViewPolicy,
    ViewPolicySpec,
)
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.train.planning.calibrate import calibrate
from mfl_adapt.train.planning.counted import Counted, Term
from mfl_adapt.train.planning.estimate import Sketch
from mfl_adapt.train.planning.grid import count_all
from mfl_adapt.train.planning.record import Plan, Row
from mfl_adapt.train.planning.setting import Setting
from mfl_adapt.types import RigContract

Device = Literal["cuda", "cpu"]
SHARES = (1.0, 0.75, 0.5, 0.25)
"""Of the base's own picture size, which are considered."""
CUDA_CONTEXT = 600 * 10**6
"""What a CUDA process holds before its first tensor; assumed."""


@dataclass(frozen=True, slots=True)
class Views:
    """How many views a step has.

    Attributes:
        inputs: That the network sees.
        targets: That are compared with.
    """

    inputs: int
    targets: int


def make_plan(
    loaded: LoadedConfig,
    host: PluginHost,
    *,
    memory: int,
    device: Device,
    cameras: int,
) -> Plan:
    """Estimate the memory of settings and recommend the best one that fits.

    The best is that with the most pixels; of those the one without checkpointing, which takes a
    third longer; and then the one that computes the most samples at a time.

    Args:
        loaded: The configuration, with slots claimed; its data are not read.
        host: The active plugins.
        memory: Bytes that there are.
        device: Where it will be trained.
        cameras: Views of a sample.

    Raises:
        TrainingError: If the base makes no Gaussians.
        ConfigError: If a section is missing or cannot be planned.
        PluginError: If the base cannot be built without its weights.
    """
    config = loaded.config
    sketch = _sketch(config, host, device)
    settings = consider(config, host, sketch.base.contract, cameras=cameras)
    uncounted = [term.name for term in sketch.terms if not sketch.can_count(term)]
    sketch.terms = [term for term in sketch.terms if term.name not in uncounted]
    calibration = calibrate()
    runtime = CUDA_CONTEXT if device == "cuda" else calibration.process
    always = runtime + sketch.fixed.total + calibration.once

    def estimate(setting: Setting, counted: Counted | None = None) -> Row:
        counted = counted or sketch.count(setting)
        return Row(setting, counted, round(always + calibration.ratio * counted.peak))

    counts = count_all(settings, sketch.count, linear=device == "cuda")
    rows = [estimate(setting, counted) for setting, counted in counts.items()]
    chosen = choose(rows, memory, config.train.precision)
    if chosen is not None:
        chosen = more_at_once(chosen, memory, config.train.batch, estimate)
    return Plan(
        base=sketch.base.id,
        device=device,
        memory=memory,
        cameras=cameras,
        batch=config.train.batch,
        runtime=runtime,
        fixed=sketch.fixed,
        calibration=calibration,
        rows=tuple(rows),
        chosen=chosen,
        uncounted=tuple(uncounted),
        views_key="data.views.inputs" if _varies(config) else None,
    )


def consider(
    config: RunConfig, host: PluginHost, contract: RigContract, *, cameras: int
) -> list[Setting]:
    """Return the settings to estimate, one sample at a time: most pixels first.

    Raises:
        DataError: If the view policy cannot serve so many cameras at all.
        ConfigError: If there is no view policy.
    """
    precisions = dict.fromkeys([config.train.precision, "bf16", "fp32"])
    sizes = {round(share * contract.size / contract.patch) * contract.patch for share in SHARES}
    found = [
        Setting(views.inputs, views.targets, size, 1, checkpointing, precision)
        for views in _views(config, host, contract, cameras)
        for size in sizes | ({config.data.size} if config.data.size else set())
        for precision in precisions
        for checkpointing in (False, True)
    ]
    return sorted(found, key=lambda one: (-one.size, -one.views))


def choose(rows: Sequence[Row], memory: int, precision: str) -> Row | None:
    """Return the best row of a precision that fits into so many bytes; None if none does."""
    fitting = [one for one in rows if one.bytes <= memory and one.setting.precision == precision]
    if not fitting:
        return None
    return max(fitting, key=lambda one: (one.setting.pixels, not one.setting.checkpointing))


def more_at_once(row: Row, memory: int, batch: int, estimate: Callable[[Setting], Row]) -> Row:
    """Return the same setting with as many samples of a batch at a time as fit."""
    for count in sorted({math.ceil(batch / parts) for parts in range(1, batch)}, reverse=True):
        more = estimate(replace(row.setting, at_once=count)) if count > 1 else row
        if more.bytes <= memory:
            return more
    return row


def _sketch(config: RunConfig, host: PluginHost, device: Device) -> Sketch:
    """Put the adapter of a configuration on its base without weights.

    Raises:
        TrainingError: If the base makes no Gaussians.
    """
    named = required(config.base, "base", "base.id=facelift.gslrm")
    adapter = required(config.adapter, "adapter", "adapter.use=lora_gslrm.lora")
    if makes(config, host) != "gaussians":
        raise TrainingError(
            f"plan: expected a base that makes Gaussians, got {named.id}, whose views and "
            "resolution are fixed. Use mfl-adapt train --dry-run."
        )
    base: Base = host.outline(named.id, named.settings, where="base")
    method: AdapterMethod = host.build(AdapterSpec, adapter.use, adapter.settings, where="adapter")
    terms = [
        Term(name, term.weight, host.build(LossSpec, name, term.settings, where=f"losses.{name}"))
        for name, term in config.losses.items()
    ]
    return Sketch(base, method, terms, device=device, ema=config.train.ema is not None)


def _varies(config: RunConfig) -> bool:
    """Whether the view policy takes a number of inputs."""
    views = required(config.data.views, "data.views", "data.views.use=view_policies.held_out")
    return isinstance(views.settings.get("inputs", 0), int)


def _views(config: RunConfig, host: PluginHost, contract: RigContract, cameras: int) -> list[Views]:
    """Numbers of views that the policy gives for rigs of so many cameras.

    Raises:
        DataError: If it gives none.
    """
    policy = required(config.data.views, "data.views", "data.views.use=view_policies.held_out")
    given, (least, most) = policy.settings.get("inputs"), contract.input_views
    counts = sorted({*range(least, most + 1), *([given] if isinstance(given, int) else [])})
    rig = orbit(
        [360.0 * place / cameras for place in range(cameras)],
        (0.0,) * cameras,
        (contract.distance,) * cameras,
        (contract.focal_ratio,) * cameras,
        contract.size,
    )
    found, problem = [], None
    for count in counts if _varies(config) else [None]:
        settings = policy.settings | ({} if count is None else {"inputs": count})
        try:
            built: ViewPolicy = host.build(ViewPolicySpec, policy.use, settings, where="data.views")
            split = built.train(rig, seed=0)
        except (ConfigError, DataError) as error:
            problem = error
            continue
        found.append(Views(len(split.inputs), len(split.targets)))
    if not found:
        raise DataError(f"plan: {problem} Say how many cameras there are with --cameras.")
    return list(dict.fromkeys(found))
