"""The cameras of a sample as numbers that a person can check against a rig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Sample

CONVENTION = (
    "world z up; azimuth atan2(y, x) and elevation of the camera centre as seen from the origin; "
    "OpenCV camera axes (x right, y down, z forward); pixel centres at +0.5"
)


class CameraRow(NamedTuple):
    """One camera in numbers.

    Attributes:
        view: Name of the view.
        height: Picture height in pixels.
        width: Picture width in pixels.
        azimuth_deg: World azimuth of the centre, in [0, 360).
        elevation_deg: Of the centre above the horizontal plane through the origin.
        distance: From the origin, in world units.
        off_axis_deg: Angle between the optical axis and the direction to the origin.
        fov_deg: Horizontal field of view.
        fx: Focal length along x in pixels.
        fy: Focal length along y in pixels.
        off_center_px: Distance of the principal point from the picture's middle.
    """

    view: str
    height: int
    width: int
    azimuth_deg: float
    elevation_deg: float
    distance: float
    off_axis_deg: float
    fov_deg: float
    fx: float
    fy: float
    off_center_px: float


def describe_cameras(sample: Sample) -> list[CameraRow]:
    """Return one row per view."""
    rows = []
    for view in sample.views:
        fx, fy, cx, cy = (float(value) for value in view.fxfycxcy)
        center, forward = view.c2w[:3, 3], view.c2w[:3, 2]
        azimuth, elevation = directions_deg(center)
        middle = np.hypot(cx - view.width / 2, cy - view.height / 2)
        rows.append(
            CameraRow(
                view=view.name,
                height=view.height,
                width=view.width,
                azimuth_deg=azimuth,
                elevation_deg=elevation,
                distance=float(np.linalg.norm(center)),
                off_axis_deg=_angle_deg(forward, -center),
                fov_deg=float(np.degrees(2 * np.arctan(view.width / (2 * fx)))),
                fx=fx,
                fy=fy,
                off_center_px=float(middle),
            )
        )
    return rows


def format_cameras(rows: Sequence[CameraRow]) -> list[str]:
    """Lines of a table, its convention first."""
    width = max([4, *(len(row.view) for row in rows)])
    lines = [
        CONVENTION,
        f"{'view':<{width}}  {'size':>11}  azimuth  elevation  distance  off axis  field of view"
        f"  {'fx':>8}  fy / fx  off centre",
    ]
    for row in rows:
        size = f"{row.width} x {row.height}"
        lines.append(
            f"{row.view:<{width}}  {size:>11}  {row.azimuth_deg:6.1f}°  {row.elevation_deg:8.1f}°"
            f"  {row.distance:8.4g}  {row.off_axis_deg:7.2f}°  {row.fov_deg:12.2f}°"
            f"  {row.fx:8.2f}  {row.fy / row.fx:7.4f}  {row.off_center_px:7.2f} px"
        )
    return lines


def directions_deg(center: Float, up: Sequence[float] = (0.0, 0.0, 1.0)) -> tuple[float, float]:
    """Azimuth in [0, 360) and elevation of a point as seen from the origin, in degrees.

    Args:
        center: The point, [3].
        up: Where the world's up points, of any length; the azimuth counts from +x, or from +y
            where up is nearly +x or -x, as far as that is level.
    """
    height = np.asarray(up, np.float64) / np.linalg.norm(up)
    ahead = np.eye(3)[0] if abs(height[0]) < 0.9 else np.eye(3)[1]
    ahead = ahead - (ahead @ height) * height
    ahead /= np.linalg.norm(ahead)
    x, y, z = (float(center @ axis) for axis in (ahead, np.cross(height, ahead), height))
    azimuth = float(np.degrees(np.arctan2(y, x))) % 360.0
    return azimuth, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _angle_deg(one: Float, other: Float) -> float:
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    if lengths == 0:
        return 0.0
    return float(np.degrees(np.arccos(np.clip(one @ other / lengths, -1.0, 1.0))))
