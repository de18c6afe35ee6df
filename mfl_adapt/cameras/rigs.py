"""Camera rigs: FaceLift's own, a real laboratory rig, and random ones.

World axes: z up, subject at the origin. Azimuth is ``atan2(y, x)`` of the camera centre, so a
subject that faces -y is seen from the front at azimuth 270 degrees.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras.lookat import look_at
from mfl_adapt.checks import check_range
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FACELIFT_DISTANCE = 2.7
# Field of view 50 degrees: 548.99377 px at a width of 512.
FACELIFT_FOCAL_RATIO = 0.5 / math.tan(math.radians(25.0))
# Front, front-right, right, back, left, front-left; right and left are the subject's.
FACELIFT_SLOTS_DEG = (270.0, 225.0, 180.0, 90.0, 0.0, 315.0)
FACELIFT_SLOT_NAMES = ("front", "front_right", "right", "back", "left", "front_left")

# A published six-camera rig for freely moving mice, cameras 0..5: distance from the origin in
# raw units, elevation, azimuth, and focal length in pixels of the 1152 x 1024 video.
LAB_DISTANCES = (246.1, 414.5, 363.7, 340.0, 318.3, 305.7)
LAB_ELEVATIONS_DEG = (14.9, 20.6, 11.3, 10.7, 26.5, 30.8)
LAB_AZIMUTHS_DEG = (-147.0, 34.0, 86.1, -11.3, 144.0, -64.1)
LAB_FOCALS_PX = (1632.3, 1556.8, 1630.3, 1606.2, 1618.3, 1636.9)
LAB_CROP_PX = 1024


def orbit(
    azimuths_deg: ArrayLike,
    elevations_deg: ArrayLike,
    distances: ArrayLike,
    focal_ratios: ArrayLike,
    size: int,
) -> Cameras:
    """Square cameras on spheres around the origin, all looking at it.

    Args:
        azimuths_deg: World azimuth of each camera centre, V values.
        elevations_deg: Elevation above the horizontal plane, V values inside (-90, 90).
        distances: Distance from the origin in world units, V values.
        focal_ratios: Focal length over picture width, V values.
        size: Picture side in pixels.

    Returns:
        V cameras with the principal point in the middle.

    Raises:
        RangeError: If the size is below 1.
    """
    check_range("orbit: size", size, 1, math.inf)
    azimuths, elevations = np.radians(azimuths_deg), np.radians(elevations_deg)
    flat = np.cos(elevations)
    units = [np.cos(azimuths) * flat, np.sin(azimuths) * flat, np.sin(elevations)]
    centers = np.stack(units, axis=-1) * np.asarray(distances)[:, None]
    fxfycxcy = np.full((len(centers), 4), size / 2.0)
    fxfycxcy[:, :2] = np.asarray(focal_ratios)[:, None] * size
    return Cameras(look_at(centers), fxfycxcy, height=size, width=size)


def facelift_ring(
    num_views: int = 32,
    elevation_deg: float = 20.0,
    distance: float = FACELIFT_DISTANCE,
    focal_ratio: float = FACELIFT_FOCAL_RATIO,
    *,
    size: int = 512,
    phase_deg: float = 0.0,
) -> Cameras:
    """The ring of FaceLift's training data: equal azimuth steps that start at ``phase_deg``.

    Raises:
        RangeError: If the number of views or the size is below 1.
        DataError: If the ring is at a pole, where "up" has no meaning.
    """
    check_range("facelift_ring: num_views", num_views, 1, math.inf)
    azimuths = phase_deg + 360.0 / num_views * np.arange(num_views)
    same = np.ones(num_views)
    return orbit(azimuths, elevation_deg * same, distance * same, focal_ratio * same, size)


def facelift_slots(size: int = 512) -> Cameras:
    """The six cameras of FaceLift's inference, in the order of the multi-view diffusion slots.

    Raises:
        RangeError: If the size is below 1.
    """
    same = np.ones(len(FACELIFT_SLOTS_DEG))
    distances, ratios = FACELIFT_DISTANCE * same, FACELIFT_FOCAL_RATIO * same
    return orbit(FACELIFT_SLOTS_DEG, 0.0 * same, distances, ratios, size)


def turntable(num_views: int, size: int = 512) -> Cameras:
    """A full turn at elevation 0 that starts in front (azimuth 270) without repeating the start.

    Raises:
        RangeError: If the number of views or the size is below 1.
    """
    return facelift_ring(num_views, 0.0, size=size, phase_deg=270.0)


def lab_rig(size: int = 512) -> Cameras:
    """A real laboratory rig of six cameras, scaled to show a subject as large as FaceLift's ring.

    Its lenses are longer than FaceLift's, so the mean distance becomes 4.1 instead of 2.7: that
    is the scale at which a subject has the contract's extent. Distances, elevations, azimuths and
    focal lengths are the rig's own. The focal lengths are those after the central 1024 x 1024 crop
    of the video and a resize to ``size`` (778 to 818 px at 512). Three things are idealised: every
    camera looks straight at the origin, the principal point is in the middle, and fy equals fx.
    In the raw recording the animal is off the origin.

    Raises:
        RangeError: If the size is below 1.
    """
    raw = np.asarray(LAB_DISTANCES)
    ratios = np.asarray(LAB_FOCALS_PX) / LAB_CROP_PX
    # Apparent size goes with focal ratio over distance; here on average over the cameras.
    distances = raw * FACELIFT_DISTANCE / FACELIFT_FOCAL_RATIO * float((ratios / raw).mean())
    return orbit(LAB_AZIMUTHS_DEG, LAB_ELEVATIONS_DEG, distances, ratios, size)


def random_rig(
    rng: np.random.Generator,
    num_views: int,
    *,
    size: int = 512,
    elevation_deg: tuple[float, float] = (-10.0, 50.0),
    distance: tuple[float, float] = (FACELIFT_DISTANCE, FACELIFT_DISTANCE),
    focal_ratio: tuple[float, float] = (FACELIFT_FOCAL_RATIO, FACELIFT_FOCAL_RATIO),
) -> Cameras:
    """Cameras around the origin, one in each of ``num_views`` equal azimuth sectors.

    Elevation, distance and focal ratio are uniform in their ranges, drawn for each camera.
    The sectors keep the views apart, as in a rig that somebody built on purpose.

    Raises:
        RangeError: If the number of views or the size is below 1, or an elevation reaches the
            poles, where "up" has no meaning.
    """
    check_range("random_rig: num_views", num_views, 1, math.inf)
    for limit in elevation_deg:
        check_range("random_rig: elevation_deg", limit, -89.0, 89.0)
    start = rng.uniform(0.0, 360.0)
    sectors = np.arange(num_views) + rng.uniform(0.0, 1.0, num_views)
    azimuths = start + 360.0 / num_views * sectors
    elevations = rng.uniform(*elevation_deg, num_views)
    distances = rng.uniform(*distance, num_views)
    return orbit(azimuths, elevations, distances, rng.uniform(*focal_ratio, num_views), size)
