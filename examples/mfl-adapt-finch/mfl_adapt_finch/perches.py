"""The check: a perch is a ruler that every camera has in view."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mfl_adapt.cameras import lens
from mfl_adapt.checks import to_numbers
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Provenance, RawCamera

from .config import PerchesConfig
from .sessions import NAME as READER

if TYPE_CHECKING:
    from mfl_adapt.types import Float

NAME = "finch.perches"
CODE = "FINCH001"


class _Seen(NamedTuple):
    """Ends of perches in one camera: world [N, 3] in mm, raw pixels [N, 2]."""

    camera: RawCamera
    points: "Float"
    pixels: "Float"


class Perches:
    """Law and warning FINCH001: a calibration shows the perches where the pictures do.

    Somebody measured the perches and clicked their ends in a picture of every camera. The raw
    cameras project them; how far the two are apart, carried to the distance of the perch, is in
    millimetres, whatever the resolution. A camera that was knocked, exchanged with another one or
    calibrated at another resolution is named, without any bird or mask.
    """

    def __init__(self, config: PerchesConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every calibration in the dataset once; samples of other readers have none.

        Raises:
            ConfigError: If there is no dataset among the facts.
        """
        if facts.dataset is None:
            raise ConfigError(f"{NAME}: expected facts with a dataset, got none. Give it one.")
        looked_at: list[Any] = []
        for sample in facts.dataset:
            first = sample.provenance[0] if sample.provenance else None
            if first is None or first.step != READER:
                continue
            calibration = (first.raw_cameras, first.params.get("marks"))
            if calibration not in looked_at:
                looked_at.append(calibration)
                yield from self._judge(sample.id, first)

    def _judge(self, sample: str, first: Provenance) -> Iterator[Finding]:
        try:
            seen = _collect(first)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            yield Finding(
                code=CODE,
                severity="warning",
                where=sample,
                value=f"marks in its history that cannot be read: {error!r:.80}",
                expected="marks as the reader wrote them",
                remedy="Read or prepare the recording again.",
            )
            return
        for name, one in seen.items():
            yield from self._judge_camera(f"camera {name}", one)

    def _judge_camera(self, where: str, seen: _Seen) -> Iterator[Finding]:
        config = self._config
        if len(seen.points) < config.least_marks:
            yield Finding(
                code=CODE,
                severity="info",
                where=where,
                value=f"{len(seen.points)} ends of perches",
                expected=f"at least {config.least_marks}",
                remedy="Click the ends of perches in a picture of this camera (perches.csv).",
            )
            return
        off_px, off_mm = _errors(seen)
        worst = float(off_mm.max())
        if worst > config.warn_above_mm:
            value = (
                f"ends of perches {off_px.max():.1f} px from where they were clicked, {worst:.0f} "
                "mm at the perch"
                if np.isfinite(worst)
                else "ends of perches that its pose or lens puts out of sight"
            )
            yield Finding(
                code=CODE,
                severity="law" if worst > config.law_above_mm else "warning",
                where=where,
                value=value,
                expected=f"at most {config.warn_above_mm:g} mm, law {config.law_above_mm:g} mm",
                remedy="Look whether the camera was moved or its row exchanged; calibrate it "
                "again, or leave it out with the reader's cameras.",
                excess=worst / config.warn_above_mm,
            )


def _collect(first: Provenance) -> dict[str, _Seen]:
    """Marks by camera, as the reader wrote them.

    Raises:
        ValueError: If they cannot be understood; other errors of look-up too.
    """
    names, marks = first.params["cameras"], first.params["marks"]
    seen = {}
    for name, camera in zip(names, first.raw_cameras, strict=True):
        own: list[Mapping[str, Any]] = [mark for mark in marks if mark["camera"] == name]
        points = to_numbers([mark["point_mm"] for mark in own] or np.empty((0, 3)), (None, 3))
        pixels = to_numbers([mark["pixel"] for mark in own] or np.empty((0, 2)), (None, 2))
        seen[name] = _Seen(camera, points, pixels)
    return seen


def _errors(seen: _Seen) -> tuple["Float", "Float"]:
    """Distance of projections and clicks in pixels and, at the perch, in mm; infinite unseen."""
    pixels, depth = lens.project_raw(seen.points, seen.camera)
    off = np.linalg.norm(pixels - seen.pixels, axis=1)
    focal = float(np.sqrt(seen.camera.fxfycxcy[0] * seen.camera.fxfycxcy[1]))
    unseen = ~np.isfinite(off)
    return np.where(unseen, np.inf, off), np.where(unseen, np.inf, off * depth / focal)
