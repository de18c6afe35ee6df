"""Compares runs scene by scene: which is better, by how much, and whether that is more than noise.

Only scenes count on which all runs were scored against the very same pictures. The interval says
how far the difference would move with other scenes. It says nothing about what another seed of the
training would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.causes import Causes, find_causes
from mfl_adapt.evaluate.intervals import FEW_SCENES, LEVEL, Interval, bootstrap_means
from mfl_adapt.evaluate.scores import (
    MEASURES,
    Scores,
    average,
    count,
    gain_db,
    header,
    number_or_none,
    or_nan,
    rows_to_json,
    to_brackets,
    to_line,
)
from mfl_adapt.evaluate.stored_scores import StoredScores

Verdict = Literal["better", "worse", "within noise", "too few scenes"]
DECIDES = "foreground_psnr_db"
"""The measure that decides."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One run against the reference.

    Attributes:
        name: Of the run.
        means: Mean of run minus reference, by measure.
        intervals: Of these means; a measure without one is left out.
        verdicts: What each interval means, by measure; that of the foreground PSNR decides.
        causes: What else differs; None if the settings of one run are not known.
        same_data: Whether the whole datasets, training scenes included, are the same.
        fair: Whether both kept the scenes from training, or both trained on them.
    """

    name: str
    means: Mapping[str, float]
    intervals: Mapping[str, Interval]
    verdicts: Mapping[str, Verdict]
    causes: Causes | None
    same_data: bool
    fair: bool

    @property
    def verdict(self) -> Verdict:
        """What the difference in foreground PSNR means."""
        return self.verdicts[DECIDES]

    def notes(self) -> list[str]:
        """Say what the difference may not be put down to."""
        unknown = ["settings unknown: a file of scores holds none"]
        said = unknown if self.causes is None else self.causes.notes()
        if not self.fair:
            said.append("one of the two trained on these scenes, the other did not")
        if not self.same_data:
            said.append("the datasets differ; only scenes with the same pictures were compared")
        return said

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "run": self.name,
            "mean": {name: number_or_none(value) for name, value in self.means.items()},
            "intervals": {name: list(pair) for name, pair in self.intervals.items()},
            "verdict": self.verdict,
            "verdicts": dict(self.verdicts),
            "same_data": self.same_data,
            "equally_unseen": self.fair,
            **({"settings": None} if self.causes is None else self.causes.to_json()),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs on the scenes that all of them were scored on.

    Attributes:
        scenes: Their names.
        left_out: How many scenes of some run are no scene of all.
        rows: Scores of each adapted model on these scenes, the reference first.
        gains_db: Foreground PSNR above its own frozen base, by run.
        retention_db: Change on the base's own domain, by run; None where it was not measured.
        differences: Every other run against the reference.
        level: Of every single interval: with several runs, all of them hold together at 95 %.
    """

    scenes: tuple[str, ...]
    left_out: int
    rows: Mapping[str, Scores]
    gains_db: Mapping[str, float]
    retention_db: Mapping[str, float | None]
    differences: tuple[Difference, ...]
    level: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "reference": next(iter(self.rows)),
            "scenes": list(self.scenes),
            "scenes_left_out": self.left_out,
            "scores": rows_to_json(self.rows),
            "gain_over_base_foreground_db": {
                name: number_or_none(one) for name, one in self.gains_db.items()
            },
            "retention_change_foreground_db": dict(self.retention_db),
            "level": self.level,
            "differences": [one.to_json() for one in self.differences],
        }

    def table(self) -> str:
        """Return scores, differences, verdicts and what weakens them, as lines of text."""
        verb = "is" if self.left_out == 1 else "are"
        rest = f"; {count(self.left_out, 'scene')} that not all share {verb} left out"
        rest = rest if self.left_out else ""
        wide = max(map(len, self.rows))
        lines = [
            f"held-out views of {count(len(self.scenes), 'scene')} that all runs were scored on"
            f"{rest}",
            f"{header(wide)}  {'gain':>9}  {'own domain':>10}",
        ]
        for name, scores in self.rows.items():
            cost = self.retention_db[name]
            kept = "-" if cost is None else f"{cost:+.2f} dB"
            lines.append(
                f"{to_line(name, scores, wide)}  {self.gains_db[name]:>+6.2f} dB  {kept:>10}"
            )
        for one in self.differences:
            lines.append(f"{one.name} against {next(iter(self.rows))}: {one.verdict}")
            for key, word in ((DECIDES, "foreground"), ("psnr_db", "full frame")):
                pair = to_brackets(one.intervals.get(key), signed=True)
                lines.append(f"  {word} {one.means[key]:+.2f} dB{pair}: {one.verdicts[key]}")
            lines += [f"  {note}" for note in one.notes()]
        lines.append(
            f"in brackets: {100 * self.level:.3g} % intervals over scenes; training again with "
            "another seed would move the runs too"
        )
        return "\n".join(lines)


def compare_runs(runs: Sequence[StoredScores]) -> Comparison:
    """Compare runs with the first one of them.

    Args:
        runs: At least two.

    Raises:
        DataError: If there are fewer, one comes twice, or they share no scene with the same
            held-out pictures.
    """
    names = [run.name for run in runs]
    if len(set(names)) < max(2, len(names)):
        raise DataError(
            f"compare: expected at least two different runs, got {', '.join(names) or 'none'}. "
            "Name two or more run folders."
        )
    scenes = _common_scenes(runs)
    picked = {run.name: {scene: run.adapted[scene] for scene in scenes} for run in runs}
    level = 1 - (1 - LEVEL) / (len(runs) - 1)
    everything = set().union(*(run.adapted for run in runs))
    return Comparison(
        scenes=scenes,
        left_out=len(everything) - len(scenes),
        rows=average(picked),
        gains_db={run.name: _gain(run, scenes) for run in runs},
        retention_db={run.name: _cost(run) for run in runs},
        differences=tuple(_difference(runs[0], run, scenes, level) for run in runs[1:]),
        level=level,
    )


def _common_scenes(runs: Sequence[StoredScores]) -> tuple[str, ...]:
    """Scenes that all runs were scored on, against the same pictures.

    Raises:
        DataError: If there is none.
    """
    first = runs[0]
    scenes = tuple(
        scene
        for scene, digest in first.digests.items()
        if all(run.digests.get(scene) == digest for run in runs[1:])
    )
    if scenes:
        return scenes
    for run in runs[1:]:
        shared = first.digests.keys() & run.digests.keys()
        if not any(run.digests[one] == first.digests[one] for one in shared):
            kind = "other held-out pictures of the same scenes" if shared else "other scenes"
            raise DataError(
                f"{run.name}: expected scores on the pictures that {first.name} was scored on, got "
                f"{kind}. Evaluate both on the same data: mfl-adapt evaluate RUN --data PATH "
                "--json > FILE."
            )
    raise DataError(
        f"compare: expected a scene that all {len(runs)} runs were scored on, got none. Compare "
        "them two at a time."
    )


def _difference(
    reference: StoredScores, run: StoredScores, scenes: Sequence[str], level: float
) -> Difference:
    """Hold one run against the reference."""
    rows = [
        [
            or_nan(getattr(run.adapted[scene], measure))
            - or_nan(getattr(reference.adapted[scene], measure))
            for measure in MEASURES
        ]
        for scene in scenes
    ]
    values = np.array(rows, np.float64)
    bounds = bootstrap_means(values, level=level)
    present = ~np.isnan(values)
    counts = present.sum(axis=0)
    sums = np.where(present, values, 0.0).sum(axis=0)
    means = np.divide(sums, counts, out=np.full(len(MEASURES), np.nan), where=counts > 0)
    by_measure = dict(zip(MEASURES, bounds, strict=True))
    seen = dict(zip(MEASURES, map(int, counts), strict=True))
    return Difference(
        name=run.name,
        means=dict(zip(MEASURES, map(float, means), strict=True)),
        intervals={name: pair for name, pair in by_measure.items() if pair is not None},
        verdicts={name: judge(pair, seen[name]) for name, pair in by_measure.items()},
        causes=find_causes(reference, run),
        same_data=reference.fingerprint == run.fingerprint,
        fair=reference.scenes_held_out == run.scenes_held_out,
    )


def judge(interval: Interval | None, scenes: int) -> Verdict:
    """Say what an interval of a difference means; 0 inside it is noise."""
    if interval is None or scenes < FEW_SCENES:
        return "too few scenes"
    low, high = interval
    if low <= 0 <= high:
        return "within noise"
    return "better" if low > 0 else "worse"


def _gain(run: StoredScores, scenes: Sequence[str]) -> float:
    sides = {"adapted": run.adapted, "frozen base": run.frozen}
    picked = {row: {scene: side[scene] for scene in scenes} for row, side in sides.items()}
    return gain_db(average(picked))


def _cost(run: StoredScores) -> float | None:
    change = run.retention.get("change_foreground_db")
    is_number = isinstance(change, int | float) and not isinstance(change, bool)
    return float(change) if is_number and change is not None else None
