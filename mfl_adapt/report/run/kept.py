"""What was measured for a report, kept in the run folder so that the next report is quick."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mfl_adapt.errors import DataError, MflAdaptError, StorageError
from mfl_adapt.files import read_bounded, read_json, write_atomically
from mfl_adapt.images import save_picture
from mfl_adapt.report.packing import SPLAT_BYTES, read_splats
from mfl_adapt.report.run.pictures import load_bounded
from mfl_adapt.report.run.record import section
from mfl_adapt.report.run.scene import MOST_SPLATS, Scene, SceneBeside, pack_scene

log = logging.getLogger(__name__)

FOLDER, FILE = "report", "measured.json"
SCHEMA = 1
_PICTURES = ("beside", "inputs", "certificate")
_SPLATS = ("frozen.splat", "adapted.splat")


class Measurer(Protocol):
    """What can measure a run; opens data and weights when it is first asked."""

    def measure_strengths(self) -> dict[str, Any]:
        """Return gain and cost by strength as plain JSON values."""

    def show_scene(self) -> SceneBeside:
        """Return what both models make of one scene."""


class Measured(NamedTuple):
    """What a report shows beside the files of a run.

    Attributes:
        strengths: Gain and cost by strength; None if that was not measured.
        scene: One scene as both models make it; None likewise.
        reason: Why something was not measured.
    """

    strengths: Mapping[str, Any] | None = None
    scene: Scene | None = None
    reason: str = ""


def measured_of(
    run: Path,
    passport: Mapping[str, Any] | None,
    measurer: Callable[[], Measurer] | None,
    asked: Mapping[str, Any] | None,
) -> Measured:
    """Return what was measured of a run's adapter, measuring it now where that is missing.

    Args:
        run: The run folder.
        passport: Of its adapter; without one, nothing can be measured.
        measurer: Gives what measures; None if nothing shall be measured.
        asked: What a user asked for; None takes whatever was measured before.

    Returns:
        The measurements; or, where one fails that nobody asked for, the reason, as that is none
        to have no report.

    Raises:
        MflAdaptError: If what the user asked for cannot be measured.
    """
    if passport is None:
        return Measured(reason="Not measured: the run left no adapter.")
    digest = passport["adapter_hash"]
    known = _read(run / FOLDER, digest)
    if known is not None and (measurer is None or asked is None or known[1] == asked):
        return known[0]
    if measurer is None:
        return Measured(reason="Not measured: the report was to be quick.")
    measuring = measurer()
    try:
        strengths, scene = measuring.measure_strengths(), pack_scene(measuring.show_scene())
    except MflAdaptError as error:
        if asked is not None:
            raise
        log.warning("report: not measured: %s", error)
        return Measured(reason=f"Not measured: {error}")
    found = Measured(strengths, scene)
    try:
        _write(run / FOLDER, digest, asked or {}, found)
    except StorageError as error:
        # The report itself may go elsewhere.
        log.warning("report: what was measured is not kept: %s", error)
    return found


def _write(folder: Path, digest: str, asked: Mapping[str, Any], found: Measured) -> None:
    assert found.scene is not None, "both are measured, or neither"
    for name in _PICTURES:
        save_picture(folder / f"{name}.png", getattr(found.scene, name))
    for name, data in zip(_SPLATS, found.scene.splats, strict=False):
        write_atomically(folder / name, data)
    content = {
        "schema": SCHEMA,
        "adapter_hash": digest,
        "asked": dict(asked),
        "strengths": found.strengths,
        "scene": dict(found.scene.told),
    }
    # Written last: where it stands, the others do.
    write_atomically(folder / FILE, (json.dumps(content, indent=2) + "\n").encode())


def _read(folder: Path, digest: str) -> tuple[Measured, Any] | None:
    """Read what was kept; None if there is nothing, or it belongs to other weights."""
    if not (folder / FILE).is_file():
        return None
    try:
        found = read_json(folder / FILE)
        if found["schema"] != SCHEMA or found["adapter_hash"] != digest:
            return None
        told = found["scene"]
        beside, inputs, proof = (load_bounded(folder / f"{name}.png") for name in _PICTURES)
        names = _SPLATS[: len(told["counts"])]
        splats = tuple(_read_splats(folder / name) for name in names)
        scene = Scene(told, beside, inputs, proof, splats)
        _check_told(scene)
        return Measured(section(found, "strengths"), scene), found["asked"]
    except (MflAdaptError, KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("report: %s cannot be used and is measured anew: %s", folder / FILE, error)
        return None


def _read_splats(path: Path) -> bytes:
    """Read kept Gaussians.

    Raises:
        DataError: If they are none, or too many.
    """
    most = MOST_SPLATS * SPLAT_BYTES
    try:
        read_bounded(path, most)
    except OSError as error:
        raise DataError(f"{path}: expected at most {most} bytes, got {error}.") from error
    return read_splats(path)


def _check_told(scene: Scene) -> None:
    """Raise unless the numbers that a page's script gets are numbers.

    Raises:
        ValueError: If one is none.
    """
    settings = scene.told["settings"]
    camera = section(settings, "camera")
    numbers = [
        *camera.values(),
        settings["background"],
        *(n for c in scene.told["counts"] for n in c),
    ]
    keys = {"azimuth", "elevation", "distance", "focalRatio"}
    plain = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers)
    if camera.keys() != keys or not plain or any(len(one) != 2 for one in scene.told["counts"]):
        raise ValueError("expected numbers of a camera and of Gaussians")
