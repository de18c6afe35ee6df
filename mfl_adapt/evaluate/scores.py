"""Scores of one predictor over many views, and the record that ``evaluation.json`` holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over all held-out views.

    Attributes:
        psnr_db: Whole picture.
        foreground_psnr_db: Pixels whose mask is above one half.
        masked_ssim: In [0, 1]; each window weighs as much as the mask it holds.
        iou: Of rendered opacity and mask, both cut at one half; None for a constant picture.
    """

    psnr_db: float
    foreground_psnr_db: float
    masked_ssim: float
    iou: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run is worth on views that the network never saw.

    Attributes:
        scenes: Number of scenes.
        views: Number of held-out views in all.
        scenes_held_out: True if the scenes too were kept from training.
        rows: Scores by predictor: those that need no model (``white``, ``mean colour``, and for a
            base that makes views ``copy of the input``), ``frozen base`` and ``adapted``.
        per_scene: Foreground PSNR in dB by predictor and scene.
    """

    scenes: int
    views: int
    scenes_held_out: bool
    rows: dict[str, Scores]
    per_scene: dict[str, dict[str, float]]

    @property
    def gain_db(self) -> float:
        """Foreground PSNR of the adapted model above the frozen base."""
        return self.rows["adapted"].foreground_psnr_db - self.rows["frozen base"].foreground_psnr_db

    @property
    def over_baselines_db(self) -> float:
        """Full-frame PSNR of the adapted model above the best picture that needs no model."""
        best = max(self.rows[name].psnr_db for name in self.baselines)
        return self.rows["adapted"].psnr_db - best

    @property
    def baselines(self) -> tuple[str, ...]:
        """Rows that need no model."""
        return tuple(name for name in self.rows if name not in {"frozen base", "adapted"})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the two gains included."""
        return {
            "scenes": self.scenes,
            "views": self.views,
            "scenes_held_out": self.scenes_held_out,
            "scores": {name: asdict(scores) for name, scores in self.rows.items()},
            "gain_over_base_foreground_db": self.gain_db,
            "gain_over_constant_db": self.over_baselines_db,
            "foreground_psnr_db_per_scene": self.per_scene,
        }

    def table(self) -> str:
        """Return the scores as lines of text."""
        kind = "held-out scenes" if self.scenes_held_out else "scenes that training saw"
        wide = max(12, *map(len, self.rows))
        head = (
            f"{'':<{wide}}  {'PSNR':>9}  {'foreground':>10}  {'masked SSIM':>11}  {'mask IoU':>8}"
        )
        lines = [f"{self.views} held-out views of {self.scenes} {kind}", head]
        for name, scores in self.rows.items():
            iou = "-" if scores.iou is None else f"{scores.iou:.3f}"
            lines.append(
                f"{name:<{wide}}  {scores.psnr_db:>6.2f} dB  {scores.foreground_psnr_db:>7.2f} dB  "
                f"{scores.masked_ssim:>11.3f}  {iou:>8}"
            )
        return "\n".join(lines)

    def verdict(self) -> str:
        """Return the two comparisons that matter, as one line."""
        constant = set(self.baselines) == {"white", "mean colour"}
        without = "the better constant picture" if constant else "the best picture without a model"
        return (
            f"adapter: {self.gain_db:+.2f} dB foreground over the frozen base, "
            f"{self.over_baselines_db:+.2f} dB full frame over {without}"
        )
