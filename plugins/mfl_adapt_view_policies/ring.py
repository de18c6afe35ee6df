"""The order of cameras around the subject, whatever order their files have."""

from __future__ import annotations

import numpy as np

from mfl_adapt.types import Cameras


def ring_order(cameras: Cameras, *, start_deg: float = 270.0) -> list[int]:
    """Sort views by the side that they look from.

    The azimuth is that of the direction back along the optical axis, about the world's z axis: it
    does not depend on where the origin lies. File order is often not angular; that of one lab rig
    is 0, 5, 3, 1, 2, 4.

    Args:
        cameras: Cameras of one sample, [V], numpy or torch, z up.
        start_deg: Azimuth, as atan2(y, x), at which the ring begins; 270 is the front of FaceLift.

    Returns:
        All views with increasing azimuth; of equal ones the lower index comes first.
    """
    back = -np.asarray(cameras.forward, dtype=np.float64)
    azimuths = np.degrees(np.arctan2(back[:, 1], back[:, 0])) - start_deg
    # Rounded, so that a camera at the start does not land at the end of the ring by 1e-14.
    turned = np.round(azimuths, 6) % 360.0
    return [int(view) for view in np.argsort(turned, kind="stable")]


def pick_evenly(views: list[int], count: int, *, offset: float = 0.0) -> list[int]:
    """Take so many of the views at equal steps along the list.

    Args:
        views: In the order of the ring.
        count: How many, at most all.
        offset: Where to begin, as a share of a step.
    """
    return [views[int((place + offset) * len(views) / count)] for place in range(count)]
