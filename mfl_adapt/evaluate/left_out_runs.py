"""Leave-one-out: runs that were each trained without one session, animal or camera, as one result.

Every run is scored on what it did without. The groups are few and differ more than scenes do, so
that the mean gain and its interval are taken over groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.config import is_below
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.causes import find_causes
from mfl_adapt.evaluate.gain import Gain
from mfl_adapt.evaluate.intervals import FEW_SCENES, Interval, bootstrap_means
from mfl_adapt.evaluate.scores import (
    MODELS,
    PerScene,
    count,
    number_or_none,
    to_brackets,
)
from mfl_adapt.evaluate.stored_scores import StoredScores

if TYPE_CHECKING:
    from mfl_adapt.evaluate.groups import Kind


@dataclass(frozen=True, slots=True)
class LeftOutRun(Gain):
    """One training, and what it did without.

    Attributes:
        group: Session, animal or camera that it did without.
        run: Its name.
        per_scene: Scores of ``frozen base`` and ``adapted`` on that group.
    """

    group: str
    run: str
    per_scene: PerScene

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"name": self.group, "run": self.run} | self.scores_to_json()


@dataclass(frozen=True, slots=True)
class LeftOutRuns:
    """A whole leave-one-out: one run for every group.

    Attributes:
        kind: What was left out.
        runs: One for every group, by its name.
        notes: In what the trainings differ beside that.
    """

    kind: Kind
    runs: tuple[LeftOutRun, ...]
    notes: tuple[str, ...] = ()

    @property
    def gains_db(self) -> list[float]:
        """Gain of every run on what it did without; NaN left out."""
        return [one.gain_db for one in self.runs if one.gain_db == one.gain_db]

    @property
    def mean_gain_db(self) -> float:
        """Mean of these, every group weighing the same."""
        return fmean(self.gains_db) if self.gains_db else float("nan")

    @property
    def interval_db(self) -> Interval | None:
        """Interval of the mean over groups; None from too few of them."""
        gains = np.array(self.gains_db, np.float64)
        return bootstrap_means(gains[:, None])[0] if len(gains) >= FEW_SCENES else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        interval = self.interval_db
        return {
            "leave_one": self.kind,
            "groups": [one.to_json() for one in self.runs],
            "mean_gain_db": number_or_none(self.mean_gain_db),
            "mean_gain_interval_db": None if interval is None else list(interval),
            "notes": list(self.notes),
        }

    def table(self) -> str:
        """Return one line per run, the mean gain over groups, and the least one."""
        wide = max(len(self.kind), *(len(one.group) for one in self.runs))
        room = max(3, *(len(one.run) for one in self.runs))
        lines = [
            f"leave-one-out by {self.kind}: {len(self.runs)} trainings, each scored on the "
            f"{self.kind} that it did without (foreground PSNR)",
            f"{self.kind:<{wide}}  {'run':<{room}}  scenes  {'frozen base':>11}  "
            f"{'adapted':>9}  gain",
        ]
        for one in self.runs:
            before, after = (one.rows[name].foreground_psnr_db for name in MODELS)
            lines.append(
                f"{one.group:<{wide}}  {one.run:<{room}}  {one.scenes:>6}  {before:>8.2f} dB  "
                f"{after:>6.2f} dB  {one.gain_db:+.2f} dB"
                f"{to_brackets(one.interval_db, signed=True)}"
            )
        every, few = count(len(self.runs), self.kind), len(self.runs) < FEW_SCENES
        lines.append(
            f"mean over {every}: {self.mean_gain_db:+.2f} dB"
            f"{to_brackets(self.interval_db, signed=True)}"
            f"{'; too few to decide' if few else ''}"
        )
        if self.gains_db:
            low, high = min(self.gains_db), max(self.gains_db)
            least = next(one.group for one in self.runs if one.gain_db == low)
            lines.append(f"from {low:+.2f} dB ({self.kind} {least}) to {high:+.2f} dB")
        if any(one.interval_db for one in self.runs) or not few:
            lines.append(
                f"in brackets: 95 % intervals, in a line over scenes, of the mean over {self.kind}s"
            )
        return "\n".join([*lines, *self.notes])


def gather_runs(kind: Kind, runs: Sequence[StoredScores]) -> LeftOutRuns:
    """Put runs together that were each trained without one group.

    Args:
        kind: What was left out.
        runs: One for every group of the dataset.

    Raises:
        DataError: If a run trained on what it is scored on, is scored on several groups, or does
            not say; if runs have other data; or if a group has no run, or several.
    """
    by_group: dict[str, StoredScores] = {}
    known: set[str] = set()
    for run in runs:
        trained, group = _read_groups(kind, run)
        first = runs[0]
        if run.fingerprint != first.fingerprint or (known and known != trained | {group}):
            raise DataError(
                f"{run.name}: expected a run on the data of {first.name}, got one on others. Train "
                "all runs on one dataset."
            )
        if group in by_group:
            raise DataError(
                f"{run.name}: expected one run without each {kind}, got another one without "
                f"{group} beside {by_group[group].name}. Name one of them."
            )
        known, by_group[group] = trained | {group}, run
    missing = sorted(known - by_group.keys())
    if missing or len(by_group) < 2:
        raise DataError(
            f"compare: expected one run without each of {count(len(known), kind)}, got none "
            f"without {', '.join(missing) or 'another one'}. {_remedy(kind, (missing or [''])[0])}"
        )
    found = [
        LeftOutRun(group, run.name, {"frozen base": run.frozen, "adapted": run.adapted})
        for group, run in sorted(by_group.items())
    ]
    return LeftOutRuns(kind, tuple(found), tuple(_differences(kind, runs)))


def _read_groups(kind: Kind, run: StoredScores) -> tuple[set[str], str]:
    """Return what a run was trained on, and the one group that it did without.

    Raises:
        DataError: If it is not such a run, or does not say.
    """
    named = run.groups.get(kind)
    sides = [named.get(side) if isinstance(named, Mapping) else None for side in _SIDES]
    if not all(isinstance(one, list) and all(isinstance(n, str) for n in one) for one in sides):
        raise DataError(
            f"{run.name}: expected scores that name every {kind} trained and scored on, got none. "
            f"Write them with mfl-adapt evaluate RUN --json > FILE and compare the file; if they "
            f"still name none, the data have scenes without a {kind}."
        )
    trained, scored = (set(one) for one in sides if one is not None)
    if len(scored) != 1:
        listed = ", ".join(sorted(scored)[:4])
        raise DataError(
            f"{run.name}: expected scores on the one {kind} that training did without, got scores "
            f"on {count(len(scored), kind)}: {listed}. {_remedy(kind, '')}"
        )
    (group,) = scored
    if group in trained:
        raise DataError(
            f"{run.name}: expected a run that was trained without the {kind} it is scored on, got "
            f"one that was trained on {group}. {_remedy(kind, group)}"
        )
    return trained, group


_SIDES = ("trained", "scored")


def _remedy(kind: Kind, group: str) -> str:
    """Say how to train without a group."""
    if kind == "camera":
        return "Train once for each camera with --set data.views.held_out=[VIEW]."
    name = group or "NAME"
    return (
        f"Train with --set data.split.by={kind} --set data.split.leave_out=[{name}], once for "
        f"each {kind}."
    )


def _differences(kind: Kind, runs: Sequence[StoredScores]) -> list[str]:
    """Say in what the trainings differ beside what they did without."""
    of_kind = ("data.views",) if kind == "camera" else ("data.split.leave_out",)
    said = []
    for run in runs[1:]:
        causes = find_causes(runs[0], run)
        if causes is None:
            said.append(f"{run.name} or {runs[0].name} does not tell its settings")
            continue
        others = [str(one) for one in causes.changes if not is_below(one.key, of_kind)]
        if others:
            said.append(
                f"{run.name} and {runs[0].name} differ in more than the {kind}: {'; '.join(others)}"
            )
    return said
