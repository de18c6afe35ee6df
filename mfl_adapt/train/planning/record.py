"""A plan, for readers and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mfl_adapt.train.memory import show_size
from mfl_adapt.train.planning.calibrate import Calibration
from mfl_adapt.train.planning.counted import Counted
from mfl_adapt.train.planning.estimate import Fixed
from mfl_adapt.train.planning.setting import Setting

LABEL = "estimated (not checked on CUDA)"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting with its memory.

    Attributes:
        setting: One way to train.
        counted: Tensors of its step.
        bytes: All that it takes, estimated.
    """

    setting: Setting
    counted: Counted
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.setting.to_json() | {"bytes": self.bytes, "counted": asdict(self.counted)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What settings take, and which is recommended.

    Attributes:
        base: Name of the base.
        device: Where it would be trained.
        memory: Bytes that there are.
        cameras: Views of a sample.
        batch: Samples of a step.
        runtime: Bytes of a process without any tensor.
        fixed: Weights, and what training needs of them.
        calibration: What a process takes for each counted byte.
        rows: All settings that were considered, one sample at a time.
        chosen: The recommended one; None if nothing fits.
        uncounted: Losses that could not be counted.
        views_key: Key of the configuration that sets the number of views; None if none does.
    """

    base: str
    device: str
    memory: int
    cameras: int
    batch: int
    runtime: int
    fixed: Fixed
    calibration: Calibration
    rows: tuple[Row, ...]
    chosen: Row | None
    uncounted: tuple[str, ...]
    views_key: str | None

    @property
    def least(self) -> Row:
        """The setting that takes the least."""
        return min(self.rows, key=lambda one: one.bytes)

    @property
    def flags(self) -> list[str]:
        """What sets up the recommended setting, as after ``--set``; empty if nothing fits."""
        if self.chosen is None:
            return []
        setting = self.chosen.setting
        flags = [] if self.views_key is None else [f"{self.views_key}={setting.views}"]
        flags += [
            f"data.size={setting.size}",
            f"train.precision={setting.precision}",
            f"train.checkpointing={str(setting.checkpointing).lower()}",
        ]
        once = setting.at_once
        return [*flags, f"train.micro_batch={once}"] if once < self.batch else flags

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; sizes are bytes."""
        calibration = self.calibration
        return {
            "schema": 1,
            "label": LABEL,
            "base": self.base,
            "device": self.device,
            "memory": self.memory,
            "cameras": self.cameras,
            "batch": self.batch,
            "fixed": {"runtime": self.runtime} | asdict(self.fixed),
            "calibration": {
                "ratio": calibration.ratio,
                "once": calibration.once,
                "trials": [
                    one.setting.to_json() | {"counted": one.counted, "measured": one.measured}
                    for one in calibration.trials
                ],
            },
            "settings": [one.to_json() | {"fits": one.bytes <= self.memory} for one in self.rows],
            "recommended": None if self.chosen is None else self.chosen.to_json(),
            "set": self.flags,
            "uncounted": list(self.uncounted),
        }

    def to_text(self) -> str:
        """Return the table and the recommendation."""
        lines = [
            f"{self.base} on {self.device}, samples of {self.cameras} cameras; memory for one "
            f"sample at a time, {LABEL}",
            *self._table(),
            f"  *  fits into {show_size(self.memory)}",
            f"always: {show_size(self.runtime)} of the process, {show_size(self.fixed.weights)} "
            f"weights, {show_size(self.fixed.adapter + self.fixed.moments)} adapter and optimizer",
            self._calibration(),
        ]
        if self.uncounted:
            lines.append(f"not counted: {', '.join(self.uncounted)}, whose way depends on values")
        return "\n".join([*lines, *self._recommendation()])

    def _table(self) -> Iterator[str]:
        columns = list(dict.fromkeys((one.setting.precision, one.setting.checkpointing)
                                     for one in self.rows))  # fmt: skip
        names = [f"{name}{', checkpointing' * again}" for name, again in columns]
        yield "  views   size" + "".join(f"{name:>22}" for name in names)
        cells: dict[tuple[int, int], dict[tuple[str, bool], Row]] = {}
        for row in self.rows:
            one = row.setting
            cells.setdefault((one.views, one.size), {})[one.precision, one.checkpointing] = row
        for (views, size), found in cells.items():
            sizes = [self._cell(found[column]) for column in columns]
            yield f"  {views:>5} {size:>6}" + "".join(f"{text:>22}" for text in sizes)

    def _cell(self, row: Row) -> str:
        return f"{show_size(row.bytes)} {'*' if row.bytes <= self.memory else ' '}"

    def _calibration(self) -> str:
        found = self.calibration
        last = found.trials[-1]
        return (
            f"calibrated on facelift.tiny in this process: {show_size(last.measured)} measured, "
            f"{show_size(last.counted)} counted; factor {found.ratio:.2f} on what is counted"
        )

    def _recommendation(self) -> Iterator[str]:
        if self.chosen is None:
            yield (
                f"nothing fits into {show_size(self.memory)}: the least is "
                f"{show_size(self.least.bytes)}, for {describe(self.least.setting)}"
            )
            return
        setting, batch = self.chosen.setting, self.batch
        yield f"recommended: {describe(setting)}: {show_size(self.chosen.bytes)}"
        if setting.at_once < batch:
            yield f"  a batch of {batch} is computed {setting.at_once} at a time"
        yield "  " + " ".join(f"--set {flag}" for flag in self.flags)


def describe(setting: Setting) -> str:
    """Return a setting in words."""
    again = "with checkpointing" if setting.checkpointing else "without checkpointing"
    samples = f", {setting.at_once} samples at a time" if setting.at_once > 1 else ""
    return f"{setting.views} views of {setting.size} px, {setting.precision}, {again}{samples}"
