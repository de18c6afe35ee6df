"""Splits a dataset folder anew: list files, ``dataset.json``, and what both sides share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.data import Split, SplitBy, split_samples
from mfl_adapt.data.duplicates import Pair, Thumbnails, find_near, thumbnails
from mfl_adapt.data.splits import mixing_warnings
from mfl_adapt.data.spread import spread
from mfl_adapt.data.writer import write_json, write_lists
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.plugin import Reader

MOST_COMPARED = 400
"""Samples of either side that are compared; evenly spread where there are more."""


@dataclass(frozen=True, slots=True)
class Resplit:
    """How a dataset is split now.

    Attributes:
        split: The sides.
        samples: How many samples there are.
        warnings: What the two sides share.
        pairs: Samples on either side that look nearly the same.
        compared: How many samples of each side were looked at.
    """

    split: Split
    samples: int
    warnings: tuple[str, ...]
    pairs: tuple[Pair, ...]
    compared: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Return counts, warnings and pairs as plain values."""
        return {
            "samples": self.samples,
            "train": len(self.split.train),
            "validation": len(self.split.validation),
            "warnings": list(self.warnings),
            "compared": list(self.compared),
            "near_duplicates": [pair._asdict() for pair in self.pairs],
        }

    def lines(self) -> list[str]:
        """What a user wants to know, one fact a line."""
        train, held = len(self.split.train), len(self.split.validation)
        unused = self.samples - train - held
        lines = [f"split     {train} train, {held} validate, {unused} in the gap"]
        lines += [f"warning   {text}" for text in self.warnings]
        looked = f"{self.compared[0]} x {self.compared[1]} samples compared"
        if not self.pairs:
            return [*lines, f"alike     no near-duplicates across the split ({looked})"]
        first = self.pairs[0]
        lines.append(
            f"warning   {len(self.pairs)} validation samples nearly equal a training sample, "
            f"first {first.validation} and {first.train}, {first.difference:.1f} of 255 apart "
            f"({looked}). Widen the gap, or split by session."
        )
        return lines


def split_dataset(
    folder: Path,
    reader: Reader,
    *,
    by: SplitBy,
    validation: float,
    gap: float,
    report: Callable[[int, int], None],
) -> Resplit:
    """Divide a dataset into training and validation, and write that into its lists.

    Pictures are not changed. The new lists replace the old ones at once, after all has been
    looked at, and never show a sample on both sides.

    Args:
        folder: A dataset folder with ``dataset.json``.
        reader: Reads that folder's samples, in the order of ``dataset.json``.
        by: What must not be cut or mixed.
        validation: Share of the samples to validate on.
        gap: Share of the samples left out between the two.
        report: Gets told how many pictures were looked at, and of how many.

    Returns:
        The split and what was found.

    Raises:
        DataError: If the folder is no dataset, or its samples cannot be split so.
        ConfigError: If ``by`` is not known.
        RangeError: If a share is outside its range.
        StorageError: If the lists cannot be written.
    """
    summary = _load(folder / "dataset.json")
    samples = [_labels(folder, name) for name in summary["samples"]]
    split = split_samples(samples, by=by, validation=validation, gap=gap)
    train, held = (spread(side, MOST_COMPARED) for side in (split.train, split.validation))
    if not split.validation:
        train = held = []
    total = len(train) + len(held)
    pairs = find_near(
        _look(reader, train, lambda done: report(done, total)),
        _look(reader, held, lambda done: report(len(train) + done, total)),
    )
    rule = {"by": by, "validation": validation, "gap": gap}
    write_lists([sample.id for sample in samples], split, folder)
    write_json(folder / "dataset.json", {**summary, "split": rule})
    return Resplit(
        split,
        len(samples),
        tuple(mixing_warnings(samples, split)),
        tuple(pairs),
        (len(train), len(held)),
    )


def _look(
    reader: Reader, indices: Sequence[int], report: Callable[[int], None]
) -> list[Thumbnails]:
    found = []
    for count, index in enumerate(indices, start=1):
        found.append(thumbnails(reader[index]))
        report(count)
    return found


def _labels(folder: Path, name: str) -> Sample:
    """Return a sample without its pictures.

    Raises:
        DataError: If its camera file cannot be read.
    """
    file = folder / name / "opencv_cameras.json"
    content = _load(file)
    try:
        time = content.get("time_s")
        return Sample(
            id=name,
            views=(),
            session=str(content.get("session", "")),
            animal=str(content.get("animal", "")),
            time_s=None if time is None else float(time),
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: expected seconds under 'time_s', got {error}.") from error


def _load(path: Path) -> dict[str, Any]:
    """Read a JSON file of the dataset.

    Raises:
        DataError: If it is missing or of another kind.
    """
    advice = "Give a dataset folder that data convert or data prepare wrote."
    content = read_json(path, advice=advice)
    names = content.get("samples") if isinstance(content, dict) else None
    if path.name == "dataset.json" and not isinstance(names, list):
        raise DataError(f"{path}: expected a list of names under 'samples', got {names!r:.40}.")
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a mapping, got {type(content).__name__}.")
    return content
