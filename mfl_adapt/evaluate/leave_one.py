"""Scores with one camera, session or animal left out at a time.

None of this trains. A camera can be left out of the inputs of a network as it is: the others feed
it, and the picture of the one left out is what it is compared with. A session or an animal can
only be left out of training; here the scenes of each are scored apart, and it is said which of
them training saw. ``data.split.leave_out`` keeps those of one's choice from a training, and
``left_out_runs`` gathers runs that did so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mfl_adapt.adapter import Switchable
from mfl_adapt.config import RunConfig
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.gain import Gain
from mfl_adapt.evaluate.groups import Kind, is_of_views, trained_cameras
from mfl_adapt.evaluate.held_out import Maker, Measures, measure, to_scores
from mfl_adapt.evaluate.intervals import FEW_SCENES
from mfl_adapt.evaluate.kinds import build_maker
from mfl_adapt.evaluate.scores import (
    MODELS,
    PerScene,
    Scores,
    count,
    to_brackets,
)
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Base
from mfl_adapt.types import Cameras, Sample, ViewSplit


@dataclass(frozen=True, slots=True)
class Group(Gain):
    """One camera, session or animal.

    Attributes:
        name: Of the camera, session or animal.
        seen: Whether training saw it.
        per_scene: Scores of ``frozen base`` and ``adapted``.
    """

    name: str
    seen: bool
    per_scene: PerScene

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"name": self.name, "seen_in_training": self.seen} | self.scores_to_json()


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Scores with one camera, session or animal left out at a time.

    Attributes:
        kind: What is left out.
        groups: One by one, in their order of appearance.
        known: How many there are in the data, those that are not scored included.
    """

    kind: Kind
    groups: tuple[Group, ...]
    known: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"by": self.kind, "groups": [one.to_json() for one in self.groups]}

    def table(self) -> str:
        """Return one line per group, the worst gain, and what all this does not show."""
        wide = max(len(self.kind), *(len(one.name) for one in self.groups))
        lines = [
            f"one {self.kind} at a time (foreground PSNR)",
            f"{self.kind:<{wide}}  scenes  {'frozen base':>11}  {'adapted':>9}  gain",
        ]
        for one in self.groups:
            before, after = (one.rows[name].foreground_psnr_db for name in MODELS)
            note = f"  training saw this {self.kind}" if one.seen else ""
            lines.append(
                f"{one.name:<{wide}}  {one.scenes:>6}  {before:>8.2f} dB  {after:>6.2f} dB  "
                f"{one.gain_db:+.2f} dB{to_brackets(one.interval_db, signed=True)}{note}"
            )
        if len(self.groups) > 1:
            worst = min(self.groups, key=lambda one: one.gain_db)
            lines.append(f"least gain: {worst.gain_db:+.2f} dB, {self.kind} {worst.name}")
        few = sum(one.scenes < FEW_SCENES for one in self.groups)
        if few:
            lines.append(
                f"{few} of {len(self.groups)} with fewer than {FEW_SCENES} scenes: too few to "
                "decide, and no interval"
            )
        return "\n".join([*lines, *self._limits()])

    def _limits(self) -> list[str]:
        """Say what is no leave-one-out about this, and how to get one."""
        seen = sum(one.seen for one in self.groups)
        every = count(len(self.groups), self.kind)
        if self.kind == "camera":
            text = (
                f"training saw {seen} of {every}: here they are left out of the inputs, not out of "
                "the training"
            )
            return [text] if seen else []
        lines = [
            f"this is no leave-one-out: one training, which saw {seen or 'none'} of {every} scored"
        ]
        if self.known > 1:
            lines.append(
                f"for one, train once without each {self.kind}, with --set data.split.by="
                f"{self.kind} --set data.split.leave_out=[NAME], and gather the runs: mfl-adapt "
                f"compare RUN RUN ... --leave-one {self.kind}"
            )
        else:
            lines.append(f"the data have one {self.kind} alone, which no training can do without")
        return lines


def leave_one_out(
    kind: Kind,
    base: Base,
    adapter: Switchable,
    data: OpenData,
    config: RunConfig,
    found: Evaluation,
    report: Callable[[int, int], None] | None = None,
) -> LeaveOneOut:
    """Score one camera, session or animal at a time.

    Args:
        kind: What to leave out.
        base: With the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        data: Samples, split and view policy.
        config: The resolved configuration.
        found: The evaluation, which has the scores of all scenes already.
        report: Called with scenes done and scenes in all, where networks have to run again.

    Raises:
        DataError: If the scenes carry no label of that kind.
    """
    if kind == "camera":
        make = build_maker(base, config, data.contract.background)
        device = next(base.module.parameters()).device
        limit = config.evaluate.samples
        return _by_camera(adapter, data, data.evaluation[:limit], make, device, report)
    return _by_label(kind, data, found)


def _by_label(kind: Literal["session", "animal"], data: OpenData, found: Evaluation) -> LeaveOneOut:
    """Part the scores of scenes by their label.

    Raises:
        DataError: If a scene has none.
    """
    trained = {getattr(sample, kind) for sample in data.samples.pick(data.split.train)}
    names: dict[str, list[str]] = {}
    for sample in data.evaluation:
        if sample.id in found.per_scene["adapted"]:
            label = getattr(sample, kind)
            if not label:
                raise DataError(
                    f"sample {sample.id}: expected the name of its {kind}, got none. Add it to the "
                    "data, or leave out another kind."
                )
            names.setdefault(label, []).append(sample.id)
    groups = [
        Group(
            name,
            name in trained,
            {row: {one: found.per_scene[row][one] for one in scenes} for row in MODELS},
        )
        for name, scenes in names.items()
    ]
    return LeaveOneOut(kind, tuple(groups), len(trained | names.keys()))


@torch.no_grad()
def _by_camera(
    adapter: Switchable,
    data: OpenData,
    samples: tuple[Sample, ...],
    make: Maker,
    device: torch.device,
    report: Callable[[int, int], None] | None,
) -> LeaveOneOut:
    """Feed a network without each camera, and compare with what that camera saw."""
    scores: dict[str, dict[str, dict[str, Scores]]] = {}
    for number, sample in enumerate(samples, start=1):
        usual = data.policy.evaluate(sample.cameras)
        for split in camera_splits(sample.cameras, usual, fixed=is_of_views(data)):
            batch = collate([sample], [split], data.contract).to(device)
            with adapter.disabled():
                pictures = {"frozen base": make(sample, batch)}
            pictures["adapted"] = make(sample, batch)
            for row, pair in pictures.items():
                measured = measure(pair.held_out, batch.targets)
                for view, one in zip(split.targets, _by_view(measured), strict=True):
                    name = sample.views[view].name
                    scores.setdefault(name, {}).setdefault(row, {})[sample.id] = one
        if report is not None:
            report(number, len(samples))
    seen = trained_cameras(data)
    groups = tuple(Group(name, name in seen, scores[name]) for name in sorted(scores))
    return LeaveOneOut("camera", groups, len(seen | scores.keys()))


def camera_splits(cameras: Cameras, usual: ViewSplit, *, fixed: bool = False) -> list[ViewSplit]:
    """Plan the passes in which every camera is compared with once and never feeds the network.

    The inputs are those of the usual evaluation. A camera that is one of them is replaced by the
    camera nearest to it in direction; where no camera is left over, the network gets one fewer.

    Args:
        cameras: Of one sample, [V], numpy.
        usual: Inputs and held-out views of the usual evaluation.
        fixed: The inputs must stay, as with a model that makes views of the first one; they are
            never left out then.

    Returns:
        Passes with the same number of inputs or one fewer; the first has all cameras as targets
        that are no usual inputs.
    """
    views = range(len(cameras))
    others = tuple(view for view in views if view not in usual.inputs)
    passes = [ViewSplit(usual.inputs, others)] if others else []
    if fixed:
        return passes
    axes = np.asarray(cameras.forward, np.float64)
    axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    for view in usual.inputs:
        rest = [one for one in usual.inputs if one != view]
        if others:
            nearest = max(others, key=lambda one: (float(axes[one] @ axes[view]), -one))
            rest = sorted([*rest, nearest])
        if rest:
            passes.append(ViewSplit(tuple(rest), (view,)))
    return passes


def _by_view(measured: Measures) -> Iterator[Scores]:
    """Part the values of several views, [V], into scores of one view each."""
    count = max(len(value) for value in measured.values() if value is not None)
    for index in range(count):
        one: Mapping[str, Tensor | None] = {
            name: None if value is None else value[index : index + 1]
            for name, value in measured.items()
        }
        yield to_scores(one)
