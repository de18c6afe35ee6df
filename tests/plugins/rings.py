"""Cameras in a ring, for view policies."""

import numpy as np

from mfl_adapt.types import Cameras


def ring(azimuths_deg, *, center=(0.0, 0.0, 0.0), wobble_deg=0.0, elevation_deg=0.0):
    """Cameras around the z axis, 2.7 from a centre that they look at."""
    angles = np.deg2rad(np.asarray(azimuths_deg, dtype=np.float64))
    angles = angles + np.deg2rad(wobble_deg) * np.cos(np.arange(len(angles)) * 7)
    height = np.full_like(angles, np.sin(np.deg2rad(elevation_deg)))
    flat = np.cos(np.deg2rad(elevation_deg))
    outward = np.stack([flat * np.cos(angles), flat * np.sin(angles), height], axis=-1)
    sideways = np.stack([-np.sin(angles), np.cos(angles), 0 * angles], axis=-1)
    c2w = np.tile(np.eye(4), (len(angles), 1, 1))
    c2w[:, :3, 2] = -outward
    c2w[:, :3, 0] = sideways
    c2w[:, :3, 1] = np.cross(-outward, sideways)
    c2w[:, :3, 3] = np.asarray(center) + 2.7 * outward
    return Cameras(c2w, np.tile([50.0, 50.0, 24.0, 24.0], (len(angles), 1)), height=48, width=48)


SIX = ring([0, 60, 120, 180, 240, 300])
RIG = ring([-147, 34, 86, -11, 144, -64])
"""A lab's rig, in the order of its files."""
