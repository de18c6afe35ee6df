"""What a recording holds, before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.cameras.table import CONVENTION, CameraRow, describe_cameras, format_cameras
from mfl_adapt.data.spread import spread
from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground

if TYPE_CHECKING:
    from mfl_adapt.chain import Chain
    from mfl_adapt.types import Sample

MOST_LOOKED_AT = 10
"""Samples that are read, evenly spread over the recording."""


class Shares(NamedTuple):
    """What the masks of one view cover, as shares of the picture.

    Attributes:
        view: Name of the view.
        masks: In how many of the samples looked at it has a mask.
        least: Smallest share.
        mean: Mean share.
        most: Largest share.
        touches: Edges of the frame that the subject touches in some sample.
    """

    view: str
    masks: int
    least: float
    mean: float
    most: float
    touches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        reader: Component that reads the data.
        samples: How many samples there are.
        looked_at: Names of the samples that were read.
        sessions: Their recordings.
        animals: Their individuals.
        bits: Bits per channel of their pictures.
        cameras: Of the first sample.
        same_cameras: All samples looked at have these very cameras.
        masks: Per view of the first sample, what its masks cover.
        history: Steps that made the first sample.
        params: Settings and measurements of the reader's own step.
    """

    reader: str
    samples: int
    looked_at: tuple[str, ...]
    sessions: tuple[str, ...]
    animals: tuple[str, ...]
    bits: int
    cameras: tuple[CameraRow, ...]
    same_cameras: bool
    masks: tuple[Shares, ...]
    history: tuple[str, ...]
    params: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {
            "convention": CONVENTION,
            "cameras": [row._asdict() for row in self.cameras],
            "masks": [row._asdict() for row in self.masks],
        }

    def lines(self) -> list[str]:
        """Return it as text, one fact a line, then the tables."""
        shown = "all read" if len(self.looked_at) == self.samples else "read"
        lines = [
            f"reader    {self.reader}",
            f"samples   {self.samples} ({len(self.looked_at)} {shown}: "
            f"{_few(self.looked_at)}), {self.bits}-bit pictures",
            f"sessions  {_few(self.sessions)}",
            f"animals   {_few(self.animals)}",
            f"history   {' -> '.join(self.history)}",
        ]
        if not self.same_cameras:
            lines.append("cameras   differ between samples; these are the first sample's")
        lines += ["", *format_cameras(self.cameras), ""]
        width = max(4, *(len(row.view) for row in self.masks))
        lines.append(f"{'view':<{width}}  masks  share of the picture             touches")
        for row in self.masks:
            share = f"{row.least:.4f} to {row.most:.4f}, mean {row.mean:.4f}"
            text = share if row.masks else "no mask yet"
            edges = ", ".join(row.touches) or "no edge"
            lines.append(f"{row.view:<{width}}  {row.masks:>5}  {text:<33}{edges}".rstrip())
        return lines


def inspect_chain(chain: Chain, reader: str, report: Callable[[int, int], None]) -> Inspection:
    """Read a few samples of a recording and describe them.

    Args:
        chain: Reader and stages.
        reader: Name of the reader.
        report: Gets told how many samples were read, and of how many.

    Returns:
        What was found.

    Raises:
        DataError: If there is no sample, or one cannot be read.
    """
    if not len(chain):
        raise DataError("dataset: expected at least one sample, got none. Check data.path.")
    places = spread(range(len(chain)), MOST_LOOKED_AT)
    samples = []
    for done, place in enumerate(places, start=1):
        samples.append(_Seen(chain[place]))
        report(done, len(places))
    first = samples[0]
    return Inspection(
        reader=reader,
        samples=len(chain),
        looked_at=tuple(one.sample for one in samples),
        sessions=tuple(sorted({one.session for one in samples} - {""})),
        animals=tuple(sorted({one.animal for one in samples} - {""})),
        bits=first.bits,
        cameras=first.cameras,
        same_cameras=all(one.cameras == first.cameras for one in samples),
        masks=tuple(_shares(row.view, samples) for row in first.cameras),
        history=first.history,
        params=first.params,
    )


class _Seen:
    """What is kept of a sample, without its pictures."""

    def __init__(self, sample: Sample) -> None:
        self.sample, self.session, self.animal = sample.id, sample.session, sample.animal
        self.cameras = tuple(describe_cameras(sample))
        self.bits = 8 * max(view.rgb.itemsize for view in sample.views)
        self.history = tuple(step.step for step in sample.provenance)
        self.params = dict(sample.provenance[-1].params) if sample.provenance else {}
        self.masks = {
            view.name: measure_foreground(view.mask)
            for view in sample.views
            if view.mask is not None
        }


def _shares(view: str, samples: Sequence[_Seen]) -> Shares:
    found = [one.masks[view] for one in samples if view in one.masks]
    shares = [one.share for one in found] or [0.0]
    touched = sorted({edge for one in found for edge in one.touched})
    mean = float(np.mean(shares))
    return Shares(view, len(found), min(shares), mean, max(shares), tuple(touched))


def _few(names: Sequence[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names) or "not named"
    return f"{names[0]}, {names[1]}, ... {names[-1]}"
