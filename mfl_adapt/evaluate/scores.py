"""Scores of one predictor over many views: means over scenes, intervals, and lines of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from mfl_adapt.evaluate.intervals import Interval, bootstrap_means

MODELS = ("frozen base", "adapted")
"""Rows of a model; all others need none."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over views; NaN where no view has the value.

    Attributes:
        psnr_db: Whole picture.
        foreground_psnr_db: Pixels whose mask is above one half.
        masked_ssim: In [0, 1]; each window weighs as much as the mask it holds.
        iou: Of rendered opacity and mask, both cut at one half; None for what has no opacity.
    """

    psnr_db: float
    foreground_psnr_db: float
    masked_ssim: float
    iou: float | None

    def to_json(self) -> dict[str, float | None]:
        """Return plain JSON values; what is not a number becomes null."""
        return {
            name: None if value is None else number_or_none(value)
            for name, value in asdict(self).items()
        }


MEASURES = ("psnr_db", "foreground_psnr_db", "masked_ssim", "iou")

PerScene = Mapping[str, Mapping[str, Scores]]
"""Scores by predictor and scene; every predictor has the same scenes in the same order."""

Intervals = dict[str, dict[str, Interval]]
"""Intervals by predictor, or ``gain``, and measure; what has none is left out."""


def average(per_scene: PerScene) -> dict[str, Scores]:
    """Mean over scenes by predictor, every scene weighing the same; NaN where none has a value."""
    return {
        name: Scores(
            psnr_db=_mean([one.psnr_db for one in scenes.values()]),
            foreground_psnr_db=_mean([one.foreground_psnr_db for one in scenes.values()]),
            masked_ssim=_mean([one.masked_ssim for one in scenes.values()]),
            iou=_meannumber_or_none([one.iou for one in scenes.values()]),
        )
        for name, scenes in per_scene.items()
    }


def find_intervals(per_scene: PerScene) -> Intervals:
    """95 % intervals of all means, and of the adapted model's gain over the frozen base."""
    columns = {
        (name, measure): [or_nan(getattr(one, measure)) for one in scenes.values()]
        for name, scenes in per_scene.items()
        for measure in MEASURES
    }
    if set(MODELS) <= per_scene.keys():
        for measure in MEASURES:
            pairs = zip(*(columns[name, measure] for name in MODELS), strict=True)
            columns["gain", measure] = [after - before for before, after in pairs]
    if not columns:
        return {}
    found: Intervals = {}
    bounds = bootstrap_means(np.array(list(columns.values()), np.float64).T)
    for (name, measure), pair in zip(columns, bounds, strict=True):
        if pair is not None:
            found.setdefault(name, {})[measure] = pair
    return found


_INTERVAL = 16
"""Width of an interval in a table."""


def header(wide: int, *, intervals: bool = False) -> str:
    """Return the line above rows of scores, with room for the interval of the foreground PSNR."""
    room = f"  {'95 %':^{_INTERVAL}}" if intervals else ""
    return (
        f"{'':<{wide}}  {'PSNR':>9}  {'foreground':>10}{room}  {'masked SSIM':>11}  {'mask IoU':>8}"
    )


def to_line(
    name: str, scores: Scores, wide: int, interval: Interval | None = None, *, room: bool = False
) -> str:
    """Return one row of scores; ``room`` is that for the interval of its foreground PSNR."""
    iou = "-" if scores.iou is None else f"{scores.iou:.3f}"
    between = f"  {to_brackets(interval).strip():^{_INTERVAL}}" if room else ""
    decibels = f"{scores.psnr_db:>6.2f} dB  {scores.foreground_psnr_db:>7.2f} dB"
    return f"{name:<{wide}}  {decibels}{between}  {scores.masked_ssim:>11.3f}  {iou:>8}"


def to_brackets(interval: Interval | None, *, signed: bool = False) -> str:
    """Word an interval as `` [low, high]``; empty if there is none."""
    if interval is None:
        return ""
    low, high = (f"{end:+.2f}" if signed else f"{end:.2f}" for end in interval)
    return f" [{low}, {high}]"


def count(how_many: int, thing: str) -> str:
    """Word a number of things."""
    return f"{how_many} {thing}{'' if how_many == 1 else 's'}"


def rows_to_json(rows: Mapping[str, Scores]) -> dict[str, Any]:
    """Return rows of scores as plain JSON values."""
    return {name: scores.to_json() for name, scores in rows.items()}


def gain_db(rows: Mapping[str, Scores]) -> float:
    """Foreground PSNR of the adapted model above the frozen base."""
    return rows["adapted"].foreground_psnr_db - rows["frozen base"].foreground_psnr_db


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if not math.isnan(value)]
    return fmean(present) if present else math.nan


def _meannumber_or_none(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return _mean(present) if present else None


def number_or_none(value: float) -> float | None:
    """Return a number as JSON has it: none instead of NaN."""
    return None if math.isnan(value) else value


def or_nan(value: float | None) -> float:
    """Return NaN for none."""
    return math.nan if value is None else value
