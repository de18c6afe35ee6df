"""Predictions from the frame of a prepared sample back into its recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from mfl_adapt.cameras.history import raw_camera, raw_view
from mfl_adapt.cameras.lens import project_raw
from mfl_adapt.cameras.unmap import (
    unmap_box,
    unmap_gaussians,
    unmap_picture_box,
    unmap_pixels,
    unmap_points,
)
from mfl_adapt.checks import check_settings
from mfl_adapt.data.writer import to_text
from mfl_adapt.errors import DataError, did_you_mean
from mfl_adapt.files import read_json, write_atomically
from mfl_adapt.plugin import ComponentConfig, Exporter, ExporterSpec

if TYPE_CHECKING:
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.types import Float, Provenance, Sample

Row = tuple[float, float, float]


class Predictions(ComponentConfig):
    """What can be mapped back; all in the frame of one prepared sample."""

    points: tuple[Row, ...] = ()
    """World points, x y z."""
    boxes: tuple[tuple[Row, Row], ...] = ()
    """Axis-aligned world boxes, lowest and highest corner."""
    pixels: dict[str, tuple[tuple[float, float], ...]] = Field(default_factory=dict)
    """Pixels x y, by name of the view."""
    picture_boxes: dict[str, tuple[tuple[float, float, float, float], ...]] = Field(
        default_factory=dict
    )
    """Boxes left top right bottom in pixels, by name of the view."""


def unmap(sample: Sample, given: Predictions) -> dict[str, Any]:
    """Map predictions back along a sample's provenance.

    Args:
        sample: A prepared sample whose history begins at raw cameras.
        given: In its frame.

    Returns:
        Plain JSON values under the same keys: world points in raw units, boxes as eight raw
        corners, pixels and upright boxes of the raw frames; and ``views``, which says for every
        view which raw camera it is, and where that camera sees the points and corners. A pixel
        that a raw camera cannot see is null.

    Raises:
        DataError: If the history does not begin at raw cameras, or a view is unknown.
    """
    history, names = sample.provenance, [view.name for view in sample.views]
    for name in (*given.pixels, *given.picture_boxes):
        if name not in names:
            raise DataError(
                f"sample {sample.id}: expected a view that it has, got {name!r}. "
                f"{did_you_mean(name, names)}"
            )
    points = unmap_points(np.array(given.points, np.float64).reshape(-1, 3), history)
    corners = [unmap_box(np.array(box, np.float64), history) for box in given.boxes]
    return {
        "sample": sample.id,
        "points": points.tolist(),
        "boxes": [box.tolist() for box in corners],
        "pixels": {
            name: _plain(unmap_pixels(np.array(rows, np.float64), names.index(name), history))
            for name, rows in given.pixels.items()
        },
        "picture_boxes": {
            name: [
                unmap_picture_box(np.array(box, np.float64), names.index(name), history).tolist()
                for box in boxes
            ]
            for name, boxes in given.picture_boxes.items()
        },
        "views": {name: _seen(index, points, corners, history) for index, name in enumerate(names)},
    }


def _seen(
    view: int, points: Float, corners: Sequence[Float], history: Sequence[Provenance]
) -> Mapping[str, Any]:
    camera = raw_camera(view, history)
    return {
        "raw_camera": raw_view(view, history),
        "height": camera.height,
        "width": camera.width,
        "points": _plain(project_raw(points, camera)[0]),
        "boxes": [_plain(project_raw(box, camera)[0]) for box in corners],
    }


def _plain(pixels: Float) -> list[list[float] | None]:
    # JSON has no NaN.
    return [row.tolist() if np.isfinite(row).all() else None for row in pixels]


def find_sample(samples: Iterable[Sample], name: str | None) -> Sample:
    """Return the sample of a name, or the first one.

    Raises:
        DataError: If there is no such sample.
    """
    seen = []
    for sample in samples:
        if name is None or sample.id == name:
            return sample
        seen.append(sample.id)
    raise DataError(
        f"--sample: expected a sample of the dataset, got {name!r}. "
        f"{did_you_mean(name or '', seen)}"
    )


def unmap_json(sample: Sample, path: Path, out: Path | None) -> str:
    """Map a file of predictions back.

    Args:
        sample: The prepared sample that they belong to.
        path: JSON with the keys of ``Predictions``.
        out: File to write; None returns the JSON text instead.

    Returns:
        The JSON text, or a line that says what was written.

    Raises:
        DataError: If the file cannot be read or does not fit the sample.
        ConfigError: If a key is unknown or a value has the wrong form.
    """
    content = read_json(path, holds="predictions")
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with points, boxes or pixels, got a list.")
    mapped = unmap(sample, check_settings(Predictions, content, section=str(path)))
    text = to_text(mapped)
    if out is None:
        return text
    write_atomically(out, f"{text}\n".encode())
    return f"mapped {path} back to the recording: {out}"


def unmap_ply(sample: Sample, path: Path, out: Path, host: PluginHost) -> str:
    """Map Gaussians back to the raw world and write them with the exporter of the file's ending.

    Raises:
        DataError: If the file holds no Gaussians, or the history does not begin at raw cameras.
        ConfigError: If no active exporter writes such a file.
    """
    from mfl_adapt.render.ply import read_ply

    chosen = host.exporter_for(out).name
    raw_camera(0, sample.provenance)
    gaussians = unmap_gaussians(read_ply(path), sample.provenance)
    exporter: Exporter = host.build(ExporterSpec, chosen, {}, where="cameras unmap")
    exporter(gaussians, out)
    return f"mapped {gaussians.means.shape[1]} Gaussians back to the recording: {out}"
