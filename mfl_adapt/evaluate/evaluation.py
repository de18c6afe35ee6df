"""The record that ``evaluation.json`` holds: scores, their intervals, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfl_adapt.evaluate.intervals import FEW_SCENES
from mfl_adapt.evaluate.scores import (
    MODELS,
    Intervals,
    PerScene,
    Scores,
    count,
    gain_db,
    header,
    number_or_none,
    rows_to_json,
    to_brackets,
    to_line,
)

if TYPE_CHECKING:
    from mfl_adapt.evaluate.groups import Groups
    from mfl_adapt.evaluate.leave_one import LeaveOneOut
    from mfl_adapt.evaluate.retention import Retention


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run is worth on views that the network never saw.

    Attributes:
        scenes: Number of scenes.
        views: Number of held-out views in all.
        scenes_held_out: True if the scenes too were kept from training.
        rows: Scores on held-out views by predictor: those that need no model (``white``, ``mean
            colour``, and for a base that makes views ``copy of the input``), ``frozen base`` and
            ``adapted``. Every scene weighs the same.
        per_scene: The same by predictor and scene.
        input_views: Number of input views in all.
        input_rows: Scores on the input views, which say how well a network repeats what it was
            shown; never a proof of reconstruction.
        intervals: By predictor, 95 % over scenes; ``gain`` is adapted above frozen base.
        retention: What the adapter costs on the base's own domain; None if nobody asked.
        fingerprint: Of the dataset; empty if nobody took it.
        groups: Names of the cameras, sessions and animals trained on and scored on, by kind.
        digests: By scene, of the held-out pictures that were compared with.
        left_out: Scores with one camera, session or animal left out at a time; None if nobody
            asked.
    """

    scenes: int
    views: int
    scenes_held_out: bool
    rows: dict[str, Scores]
    per_scene: PerScene
    input_views: int = 0
    input_rows: dict[str, Scores] = field(default_factory=dict)
    intervals: Intervals = field(default_factory=dict)
    retention: Retention | None = None
    fingerprint: str = ""
    groups: Groups = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    left_out: LeaveOneOut | None = None

    @property
    def gain_db(self) -> float:
        """Foreground PSNR of the adapted model above the frozen base."""
        return gain_db(self.rows)

    @property
    def over_baselines_db(self) -> float:
        """Full-frame PSNR of the adapted model above the best picture that needs no model."""
        best = max(self.rows[name].psnr_db for name in self.baselines)
        return self.rows["adapted"].psnr_db - best

    @property
    def baselines(self) -> tuple[str, ...]:
        """Rows that need no model."""
        return tuple(name for name in self.rows if name not in MODELS)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the two gains included."""
        return {
            "fingerprint": self.fingerprint,
            "scenes": self.scenes,
            "views": self.views,
            "scenes_held_out": self.scenes_held_out,
            "scores": rows_to_json(self.rows),
            "intervals": {
                name: {measure: list(pair) for measure, pair in one.items()}
                for name, one in self.intervals.items()
            },
            "gain_over_base_foreground_db": number_or_none(self.gain_db),
            "gain_over_constant_db": number_or_none(self.over_baselines_db),
            "input_views": self.input_views,
            "input_view_scores": rows_to_json(self.input_rows),
            "retention": None if self.retention is None else self.retention.to_json(),
            **({} if self.left_out is None else {"leave_one_out": self.left_out.to_json()}),
            "groups": {kind: dict(one) for kind, one in self.groups.items()},
            "digests": dict(self.digests),
            "per_scene": {name: rows_to_json(scenes) for name, scenes in self.per_scene.items()},
        }

    def table(self) -> str:
        """Return the scores as lines of text: held-out views first, then the input views."""
        kind = count(self.scenes, "held-out scene" if self.scenes_held_out else "scene")
        kind += "" if self.scenes_held_out else " that training saw"
        wide = max(12, *map(len, self.rows))
        room = bool(self.intervals)
        lines = [f"{count(self.views, 'held-out view')} of {kind}"]
        lines += [header(wide, intervals=room)]
        for name, scores in self.rows.items():
            interval = self.intervals.get(name, {}).get("foreground_psnr_db")
            lines.append(to_line(name, scores, wide, interval, room=room))
        if self.input_rows:
            shown = count(self.input_views, "input view")
            lines += [f"{shown}, which the model was shown: no evidence"]
            lines += [
                to_line(name, scores, wide, room=room) for name, scores in self.input_rows.items()
            ]
        if self.left_out is not None:
            lines += [self.left_out.table()]
        return "\n".join(lines)

    def verdict(self) -> str:
        """Return the comparisons that matter, one a line, the last being what they cost."""
        constant = set(self.baselines) == {"white", "mean colour"}
        without = "the better constant picture" if constant else "the best picture without a model"
        interval = self.intervals.get("gain", {}).get("foreground_psnr_db")
        lines = [
            f"adapter: {self.gain_db:+.2f} dB{to_brackets(interval, signed=True)} foreground over "
            f"the frozen base, {self.over_baselines_db:+.2f} dB full frame over {without}"
        ]
        if interval is not None:
            few = (
                f"; from {count(self.scenes, 'scene')}, too few to decide"
                if self.scenes < FEW_SCENES
                else ""
            )
            lines.append(f"in brackets: 95 % of what other scenes would give{few}")
        if self.retention is not None:
            lines.append(self.retention.to_text())
        return "\n".join(lines)
