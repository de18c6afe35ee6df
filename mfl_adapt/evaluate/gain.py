"""What scores of scenes come to: means, the gain over the frozen base, and its interval."""

from __future__ import annotations

from typing import Any

from mfl_adapt.evaluate.intervals import FEW_SCENES, Interval
from mfl_adapt.evaluate.scores import (
    PerScene,
    Scores,
    average,
    find_intervals,
    gain_db,
    number_or_none,
    rows_to_json,
)


class Gain:
    """Part of a record that holds scores of ``frozen base`` and ``adapted`` by scene.

    Attributes:
        per_scene: The scores; a field of the record.
    """

    __slots__ = ()

    per_scene: PerScene

    @property
    def scenes(self) -> int:
        """Number of scenes."""
        return len(self.per_scene.get("adapted", {}))

    @property
    def rows(self) -> dict[str, Scores]:
        """Means over scenes by predictor."""
        return average(self.per_scene)

    @property
    def gain_db(self) -> float:
        """Foreground PSNR of the adapted model above the frozen base."""
        return gain_db(self.rows)

    @property
    def interval_db(self) -> Interval | None:
        """Interval of that gain over scenes; None from so few that it would be no 95 %."""
        if self.scenes < FEW_SCENES:
            return None
        return find_intervals(self.per_scene).get("gain", {}).get("foreground_psnr_db")

    def scores_to_json(self) -> dict[str, Any]:
        """Return scenes, means, gain and interval as plain JSON values."""
        interval = self.interval_db
        return {
            "scenes": self.scenes,
            "scores": rows_to_json(self.rows),
            "gain_over_base_foreground_db": number_or_none(self.gain_db),
            "gain_interval_db": None if interval is None else list(interval),
        }
