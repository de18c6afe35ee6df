"""A certificate as a picture: outlines over every view, and the rig from above and the side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.data.spread import spread
from mfl_adapt.images import composite, save_picture
from mfl_adapt.images.hull import VisualHull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfl_adapt.data.certificate_records import Certificate, Failure, ViewCertificate
    from mfl_adapt.types import Bytes, Float, RigContract, Sample, View

TILE_PX = 256
PLOT_PX = 384
GAP_PX = 8
LINE_PX = 18
MOST_COLUMNS = 6
MOST_VIEWS = 12
# A grey frame keeps white pictures apart from one another.
FRAME = 204
INK = (0, 0, 0)
MASK_COLOUR = (230, 0, 126)
HULL_COLOUR = (0, 148, 255)
SUBJECT_COLOUR = (0, 140, 60)
SEVERITY_COLOURS = {"clean": (0, 120, 50), "warning": (190, 110, 0), "law": (200, 0, 0)}
# OpenCV takes coordinates in fractions of a pixel as whole numbers with so many bits below the
# point.
_SHIFT_BITS = 4


def certificate_picture(sample: Sample, certificate: Certificate, contract: RigContract) -> Bytes:
    """Draw the proof of a sample's geometry.

    Every view shows its own mask's outline, and the outline of what the other views' visual hull
    can be in it. With true cameras the hull encloses the mask and touches it all around where the
    views are many; a mask that sticks out of it is one that the others contradict.

    Args:
        sample: What was certified.
        certificate: Its certificate.
        contract: What the base assumes; its background is put behind the subject.

    Returns:
        Picture, [height, width, 3] uint8.
    """
    drawn = _some_views(sample)
    tiles = [
        _draw_view(sample.views[index], hull, certificate.views[index], contract)
        for index, hull in zip(drawn, _hulls(sample, drawn), strict=True)
    ]
    plots = [
        _draw_rig(sample, certificate, (0, 1), "rig from above: x right, y up"),
        _draw_rig(sample, certificate, (0, 2), "rig from the side: x right, z up"),
        _draw_text(certificate),
    ]
    return _stack([_header(certificate), *_rows(tiles, MOST_COLUMNS), *_rows(plots, 3)])


def save_certificate_picture(
    path: Path, sample: Sample, certificate: Certificate, contract: RigContract
) -> None:
    """Write a certificate's picture as PNG, whole or not at all.

    Raises:
        StorageError: If the file cannot be written.
    """
    save_picture(path, certificate_picture(sample, certificate, contract))


def _some_views(sample: Sample) -> list[int]:
    """Indices of the views to draw, evenly taken."""
    return spread(range(len(sample.views)), MOST_VIEWS)


def _hulls(sample: Sample, drawn: Sequence[int]) -> list[Bytes]:
    """The other views' hull in the drawn views, at about the tile's size."""
    if not all(np.isfinite(v.c2w).all() and np.linalg.det(v.c2w[:3, :3]) for v in sample.views):
        return [np.zeros((1, 1), np.uint8) for _ in drawn]
    return VisualHull(sample.views).silhouettes(drawn, side=TILE_PX)


def _draw_view(view: View, hull: Bytes, measures: ViewCertificate, contract: RigContract) -> Bytes:
    import cv2

    scale = TILE_PX / max(view.height, view.width)
    width, height = max(1, round(view.width * scale)), max(1, round(view.height * scale))
    small = cv2.resize(_shown(view, contract), (width, height), interpolation=cv2.INTER_AREA)
    tile = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
    tile[:height, :width] = small
    # Each outline in its own thickness, so that the lower one is seen where both coincide.
    _outline(tile[:height, :width], hull, HULL_COLOUR, thickness=2)
    if view.mask is not None:
        _outline(tile[:height, :width], view.mask, MASK_COLOUR, thickness=1)
    text = np.full((2 * LINE_PX, TILE_PX, 3), 255, np.uint8)
    _write(text, view.name, (2, 13))
    _write(text, _key_numbers(measures), (2, 13 + LINE_PX))
    return np.concatenate([tile, text])


def _shown(view: View, contract: RigContract) -> Bytes:
    """The picture over the background, faded outside the mask so that a bad mask shows."""
    top = 65535.0 if view.rgb.dtype == np.uint16 else 255.0
    rgb = np.rint(view.rgb * (255.0 / top)).astype(np.uint8)
    if view.mask is None:
        return rgb
    shown = composite(rgb, view.mask, contract.background)
    return np.rint(255 * shown).astype(np.uint8)


def _outline(tile: Bytes, mask: Bytes, colour: tuple[int, int, int], *, thickness: int) -> None:
    import cv2

    height, width = tile.shape[:2]
    # A rim of background lets an outline close at the frame's edge.
    padded = cv2.copyMakeBorder((mask > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    curves, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    scale = np.array([width / mask.shape[1], height / mask.shape[0]]) * 2**_SHIFT_BITS
    # Contours run through pixel centres, counted from 0 in the padded mask.
    scaled = [np.rint((curve - 0.5) * scale).astype(np.int32) for curve in curves]
    cv2.polylines(tile, scaled, True, colour, thickness, cv2.LINE_AA, _SHIFT_BITS)


def _key_numbers(measures: ViewCertificate) -> str:
    parts = []
    if measures.hull_iou is not None and measures.hull_coverage is not None:
        parts.append(f"IoU {measures.hull_iou:.4f}  covered {measures.hull_coverage:.4f}")
    if measures.residual_px is not None:
        parts.append(f"{measures.residual_px:.1f} px")
    return "  ".join(parts) or "not judged"


def _draw_rig(sample: Sample, certificate: Certificate, axes: tuple[int, int], title: str) -> Bytes:
    """Cameras as wedges of their field of view, the subject as a disc, in two world axes."""
    import cv2

    plot = np.full((PLOT_PX, PLOT_PX, 3), 255, np.uint8)
    _write(plot, title, (6, 15))
    centers = np.array([view.c2w[:3, 3] for view in sample.views]).reshape(-1, 3)
    if not np.isfinite(centers).all():
        return plot
    reach = max(1e-9, float(np.abs(centers).max(initial=0.0))) * 1.2
    # Half the plot's free height for the largest coordinate; the picture's y points down.
    scale = (PLOT_PX - 2 * LINE_PX) / 2 / reach
    middle = np.array([PLOT_PX / 2, PLOT_PX / 2 + LINE_PX / 2])

    def place(point: Any) -> tuple[int, int]:
        x, y = middle + scale * np.array([point[axes[0]], -point[axes[1]]])
        return int(np.clip(x, -9999, 9999)), int(np.clip(y, -9999, 9999))

    cv2.drawMarker(plot, place(np.zeros(3)), INK, cv2.MARKER_CROSS, 12, 1, cv2.LINE_AA)
    if certificate.subject is not None:
        radius = max(2, min(PLOT_PX, round(scale * (certificate.subject_radius or 0.0))))
        spot = place(np.asarray(certificate.subject))
        cv2.circle(plot, spot, radius, SUBJECT_COLOUR, 1, cv2.LINE_AA)
    for view in sample.views:
        # Rays through the middles of the left and right edge, a third of the way to the origin.
        length = np.linalg.norm(view.c2w[:3, 3]) / 3
        corners = [place(view.c2w[:3, 3] + length * ray) for ray in _edge_rays(view)]
        wedge = np.array([place(view.c2w[:3, 3]), *corners])
        cv2.polylines(plot, [wedge], True, HULL_COLOUR, 1, cv2.LINE_AA)
    # All names on top of one another could not be read; those of the drawn views must do.
    for index in _some_views(sample):
        x, y = place(centers[index] * 1.1)
        _write(plot, sample.views[index].name.removeprefix("cam_"), (x - 10, y + 4), size=0.34)
    return plot


def _edge_rays(view: View) -> Float:
    fx, fy, cx, cy = view.fxfycxcy
    rows = [[(x - cx) / fx, (view.height / 2 - cy) / fy, 1.0] for x in (0.0, view.width)]
    rays = np.array(rows) @ view.c2w[:3, :3].T
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _draw_text(certificate: Certificate) -> Bytes:
    """Numbers of the sample as a whole, and its worst failures."""
    panel = np.full((PLOT_PX, PLOT_PX, 3), 255, np.uint8)
    for row, text in enumerate(_text_lines(certificate)[: PLOT_PX // LINE_PX - 1]):
        _write(panel, text, (6, 15 + row * LINE_PX))
    return panel


def _text_lines(found: Certificate) -> list[str]:
    lines = [f"history: {'exact' if found.exact else 'inexact'}"]
    lines += [f"  {step}" for step in found.steps]
    if found.subject_distance is not None and found.reach is not None:
        lines.append(f"subject {found.subject_distance:.3g} from the origin")
        lines.append(f"depth reach used {100 * found.reach:.0f} %")
        lines.append(f"median residual {found.residual_px:.2f} px")
    trips = [view.round_trip_px for view in found.views if view.round_trip_px is not None]
    if trips:
        lines.append(f"round trip {max(trips):.1e} px")
    lines.append("distance {:.4g} to {:.4g}".format(*_range(v.distance for v in found.views)))
    lines.append("elevation {:.2f} to {:.2f}".format(*_range(v.elevation_deg for v in found.views)))
    lines.append("fx {:.3f} to {:.3f} px".format(*_range(v.fx for v in found.views)))
    return lines + _failure_lines(found)


def _failure_lines(found: Certificate) -> list[str]:
    """Failures of one name and severity in one line, with the value furthest from its limit."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in found.failures:
        groups.setdefault((failure.severity, failure.name), []).append(failure)
    lines = []
    for (severity, name), group in groups.items():
        worst = max(group, key=lambda failure: abs(failure.value - failure.limit))
        where = f" in {worst.where}" if worst.where else ""
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        lines.append(f"{severity}: {name} {worst.value:.4g}{where}{more}")
    return lines


def _range(values: Any) -> tuple[float, float]:
    everything = list(values) or [float("nan")]
    return min(everything), max(everything)


def _header(certificate: Certificate) -> Bytes:
    width = MOST_COLUMNS * (TILE_PX + GAP_PX)
    strip = np.full((2 * LINE_PX, width, 3), 255, np.uint8)
    colour = SEVERITY_COLOURS[certificate.verdict]
    _write(strip, f"{certificate.sample}: {certificate.verdict}", (6, 14), colour=colour, size=0.5)
    _write(strip, "outline of the mask", (6, 14 + LINE_PX), colour=MASK_COLOUR)
    _write(strip, "outline of the other views' hull", (180, 14 + LINE_PX), colour=HULL_COLOUR)
    _write(strip, "subject", (440, 14 + LINE_PX), colour=SUBJECT_COLOUR)
    if len(certificate.views) > MOST_VIEWS:
        text = f"{MOST_VIEWS} of {len(certificate.views)} views are drawn; all were measured"
        _write(strip, text, (540, 14 + LINE_PX))
    return strip


def _write(
    picture: Bytes,
    text: str,
    corner: tuple[int, int],
    *,
    colour: tuple[int, int, int] = INK,
    size: float = 0.4,
) -> None:
    import cv2

    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _rows(tiles: Sequence[Bytes], columns: int) -> list[Bytes]:
    """Tiles of one size side by side, so many to a row."""
    rows = []
    for start in range(0, len(tiles), columns):
        row = []
        for tile in tiles[start : start + columns]:
            row += [tile, np.full((tile.shape[0], GAP_PX, 3), FRAME, np.uint8)]
        rows.append(np.concatenate(row, axis=1))
    return rows


def _stack(strips: Sequence[Bytes]) -> Bytes:
    width = max(strip.shape[1] for strip in strips)
    rows = []
    for strip in strips:
        row = np.full((strip.shape[0] + GAP_PX, width, 3), FRAME, np.uint8)
        row[: strip.shape[0], : strip.shape[1]] = strip
        rows.append(row)
    return np.concatenate(rows)
