"""What an adapter gains and costs at each strength, measured on few scenes.

Between the bare base and the whole adapter lies a choice: at half the strength much of the gain may
be there at a fraction of the cost, and beyond 1 the gain may go on. The scenes are few, so that the
curve takes seconds; the scores of the run remain what counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from mfl_adapt.adapter import AttachedAdapter
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import AdapterError, MflAdaptError, RangeError
from mfl_adapt.evaluate.asked_home import in_words_of_home
from mfl_adapt.evaluate.held_out import Maker, measure, to_scores
from mfl_adapt.evaluate.intervals import FEW_SCENES, paired_difference
from mfl_adapt.evaluate.kinds import build_maker
from mfl_adapt.evaluate.retention import open_home
from mfl_adapt.evaluate.scores import number_or_none
from mfl_adapt.plugin import Reconstructor
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.evaluate.sources import Report
    from mfl_adapt.evaluate.stored_run import OpenedRun
    from mfl_adapt.pipeline import OpenData

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SCENES = FEW_SCENES
# A model of views takes tens of steps for every picture that a reconstructor makes in one.
STRENGTHS_OF_VIEWS = (0.0, 0.5, 1.0, 1.25)
SCENES_OF_VIEWS = 2
_MOST, _LARGEST = 21, 4.0

Curve = Mapping[float, Sequence[float]]
"""Foreground PSNR by strength, one value per scene; NaN where a scene has no foreground."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants measured.

    Attributes:
        strengths: Rising, beginning with 0; None takes some up to 1.25, or only 0 and 1 where the
            adapter knows nothing in between.
        scenes: How many scenes of each domain; None takes a few.
    """

    strengths: tuple[float, ...] | None = None
    scenes: int | None = None


def read_asked(strengths: str | None, scenes: int | None) -> Asked:
    """Read what a user asked for; None takes the default.

    Raises:
        RangeError: If a strength cannot be used.
    """
    return Asked(None if strengths is None else read_strengths(strengths), scenes)


def read_strengths(text: str) -> tuple[float, ...]:
    """Read strengths as a user types them, ``0,0.5,1``.

    Returns:
        Each once, rising; 0 is always among them, as all others are compared with it.

    Raises:
        RangeError: If one is no number from 0 to 4, or there are more than 21.
    """
    try:
        values = sorted({0.0, *(float(part) for part in text.split(","))})
    except ValueError:
        values = [math.nan]
    if not all(0 <= value <= _LARGEST for value in values) or len(values) > _MOST:
        raise RangeError(
            f"--strengths: expected at most {_MOST} numbers from 0 to {_LARGEST:g} with commas "
            f"between them, got {text!r:.80}. Write 0,0.5,1."
        )
    return tuple(values)


def measure_strengths(run: OpenedRun, asked: Asked, report: Report | None = None) -> dict[str, Any]:
    """Score an adapter at several strengths on held-out views and on the base's own domain.

    Args:
        run: Base, adapter and data.
        asked: Strengths and number of scenes.
        report: Gets told how far each of the two passes is.

    Returns:
        Plain JSON values: ``held_out`` and ``home``, each with ``scenes`` and ``points``; or
        ``not_measured`` with the reason in ``home``.

    Raises:
        AdapterError: If the adapter does not know a strength that was asked for.
        DataError: If no scene can be used.
    """
    is_quick = isinstance(run.base, Reconstructor)
    usual = STRENGTHS if is_quick else STRENGTHS_OF_VIEWS
    scenes = asked.scenes or (SCENES if is_quick else SCENES_OF_VIEWS)
    strengths, note = _known_strengths(run.adapter, asked.strengths, usual)
    background = run.data.contract.background
    make = build_maker(run.base, run.config, background)
    samples = run.data.evaluation[:scenes]
    curve = score_strengths(run, samples, run.data, make, strengths, _named(report, "strengths"))
    held_out = {"unseen": not run.data.split.views_only, **curve_to_json(curve)}
    home = _measure_home(run, scenes, strengths, report)
    return {"note": note, "held_out": held_out, "home": home}


@torch.no_grad()
def score_strengths(
    run: OpenedRun,
    samples: Sequence[Sample],
    data: OpenData,
    make: Maker,
    strengths: Sequence[float],
    report: Callable[[int, int], None] | None = None,
) -> dict[float, list[float]]:
    """Foreground PSNR of held-out views by strength, one value per scene.

    Args:
        run: Base and adapter; the adapter's strength is as before afterwards.
        samples: Scenes.
        data: View policy and contract of these scenes.
        make: What draws the pictures.
        strengths: Of the adapter.
        report: Called with scenes done and scenes in all.
    """
    device = next(run.base.module.parameters()).device
    before, found = run.adapter.strength, {one: list[float]() for one in strengths}
    try:
        for number, sample in enumerate(samples, start=1):
            views = data.policy.evaluate(sample.cameras)
            batch = collate([sample], [views], data.contract).to(device)
            for strength, values in found.items():
                run.adapter.strength = strength
                scores = to_scores(measure(make(sample, batch).held_out, batch.targets))
                values.append(scores.foreground_psnr_db)
            if report is not None:
                report(number, len(samples))
    finally:
        run.adapter.strength = before
    return found


def curve_to_json(curve: Curve) -> dict[str, Any]:
    """Return means over scenes and the change against strength 0.

    The change has its 95 % interval, unless the scenes are so few that they decide nothing.
    """
    points = []
    for strength, values in curve.items():
        pairs = list(zip(values, curve[0.0], strict=True))
        enough = strength and len(values) >= FEW_SCENES
        interval = paired_difference(values, curve[0.0]) if enough else None
        points.append({
            "strength": strength,
            "foreground_psnr_db": number_or_none(_mean(values)),
            "change_db": number_or_none(_mean([after - before for after, before in pairs])),
            "change_interval_db": None if interval is None else list(interval),
        })
    return {"scenes": len(curve[0.0]), "points": points}


def _known_strengths(
    adapter: AttachedAdapter, asked: tuple[float, ...] | None, usual: tuple[float, ...]
) -> tuple[tuple[float, ...], str]:
    """Strengths to measure, and why they are fewer than usual.

    Raises:
        AdapterError: If the adapter does not know one that was asked for.
    """
    before = adapter.strength
    try:
        for strength in asked or usual:
            adapter.strength = strength
    except AdapterError:
        if asked is not None:
            raise
        return (0.0, 1.0), "The method of this adapter knows only the strengths 0 and 1."
    finally:
        adapter.strength = before
    return asked or usual, ""


def _measure_home(
    run: OpenedRun, scenes: int, strengths: Sequence[float], report: Report | None
) -> dict[str, Any]:
    """The same on the base's own domain, or why not: that is no reason to lose the rest.

    Raises:
        MflAdaptError: If the user named data of that domain just now, and they cannot be used.
    """
    if run.config.evaluate.retention == 0:
        return {"not_measured": "evaluate.retention is 0"}
    chosen = run.config.evaluate.model_copy(update={"retention": scenes})
    config = run.config.model_copy(update={"evaluate": chosen})
    try:
        name, data = open_home(run.base, config, run.host)
        make = build_maker(run.base, config, data.contract.background)
        samples = tuple(data.samples)
        curve = score_strengths(run, samples, data, make, strengths, _named(report, "home"))
    except MflAdaptError as error:
        if run.home:
            worded = in_words_of_home(error, run.home)
            raise worded from error
        return {"not_measured": " ".join(str(error).split())}
    return {"domain": name, **curve_to_json(curve)}


def _named(report: Report | None, what: str) -> Callable[[int, int], None] | None:
    return None if report is None else partial(report, what)


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if not math.isnan(value)]
    return fmean(present) if present else math.nan
