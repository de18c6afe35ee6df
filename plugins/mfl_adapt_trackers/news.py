"""What a run folder holds, step by step, in the form that trackers take."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METRICS, FINDINGS, SCORES = "metrics.jsonl", "guards.jsonl", "evaluation.json"
CARD = "adapter/README.md"

_SHEET = re.compile(r"step-(\d+)\.png")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_NOT_A_SCORE = {"per_scene", "digests", "intervals"}


@dataclass(slots=True)
class News:
    """What one step left in the run folder.

    Attributes:
        step: Optimizer steps done.
        scalars: Finite numbers by name, such as ``train/loss``.
        pictures: Files by name.
        texts: Markdown by name.
    """

    step: int
    scalars: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class RunLog:
    """Reads what is new in a run folder since it was read last."""

    def __init__(self, folder: Path, after: int) -> None:
        """Take the folder.

        Args:
            folder: Of the run.
            after: What belongs to this step or to an earlier one is known already.
        """
        self._folder, self._after = folder, after
        self._read_bytes = dict.fromkeys((METRICS, FINDINGS), 0)

    def read(self) -> list[News]:
        """Return what is new, one record per step, in the order of steps."""
        found: dict[int, News] = {}
        for row in self._new_rows(METRICS):
            self._at(found, int(row["number"])).scalars.update(scalars_of(row))
        for row in self._new_rows(FINDINGS):
            _take_finding(self._at(found, int(row["step"])), row, self._folder)
        for path in sorted(self._folder.glob("samples/step-*.png")):
            match = _SHEET.fullmatch(path.name)
            if match:
                self._at(found, int(match[1])).pictures["samples"] = path
        new = sorted((one for one in found.values() if one.step > self._after), key=_step)
        if new:
            self._after = new[-1].step
        return new

    def read_end(self) -> News | None:
        """Return the scores and the model card of a run that ended; None if it has neither."""
        end = News(max(self._after, 0))
        scores, card = self._folder / SCORES, self._folder / CARD
        if scores.exists():
            plain = json.loads(scores.read_text(encoding="utf-8"))
            kept = {key: value for key, value in plain.items() if key not in _NOT_A_SCORE}
            end.scalars.update(_numbers(kept, "evaluation"))
        if card.exists():
            end.texts["adapter"] = _FRONT_MATTER.sub("", card.read_text(encoding="utf-8"))
        return end if end.scalars or end.texts else None

    def _new_rows(self, name: str) -> list[dict[str, Any]]:
        """Parse the whole lines that were added to a log."""
        path = self._folder / name
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._read_bytes[name])
            lines = file.read().rpartition(b"\n")[0].splitlines(keepends=True)
        self._read_bytes[name] += sum(map(len, lines)) + bool(lines)
        return [json.loads(line) for line in lines]

    def _at(self, found: dict[int, News], step: int) -> News:
        return found.setdefault(step, News(step))


def scalars_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line of ``metrics.jsonl``, by the names that trackers show.

    A key that later versions may add becomes ``train/KEY``, so that nothing is lost.
    """
    rest = {key: value for key, value in row.items() if key not in {"number", "parts"}}
    quality = {key: rest.pop(key) for key in list(rest) if key.endswith("psnr_db")}
    groups = {"train": rest, "terms": row.get("parts", {}), "quality": quality}
    return dict(_numbers(groups, ""))


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Walk over the finite numbers of plain values; mappings become folders of names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            word = str(key).replace(" ", "_")
            yield from _numbers(inner, f"{name}/{word}" if name else word)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


def _take_finding(news: News, row: Mapping[str, Any], folder: Path) -> None:
    """Word what a guard found; its picture goes along."""
    name = f"guards/{row['code']}"
    news.texts[name] = (
        f"**{row['severity']} {row['code']}** at step {row['step']}: {row['where']}: "
        f"expected {row['expected']}, got {row['value']}. {row['remedy']}"
    )
    if row.get("picture"):
        news.pictures[name] = folder / str(row["picture"])


def _step(news: News) -> int:
    return news.step
