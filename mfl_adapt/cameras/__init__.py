"""Camera geometry in numpy float64: projection, lenses, look-at poses, rigs and history.

The modules ``similarity``, ``lens``, ``history`` and ``unmap`` are used by their names, as in
``similarity.invert``.
"""

from mfl_adapt.cameras import history, lens, similarity, unmap
from mfl_adapt.cameras.lookat import look_at, look_at_map
from mfl_adapt.cameras.projection import pixel_grid, project, ray_directions, to_w2c, unproject
from mfl_adapt.cameras.rigs import (
    FACELIFT_DISTANCE,
    FACELIFT_FOCAL_RATIO,
    FACELIFT_SLOT_NAMES,
    FACELIFT_SLOTS_DEG,
    facelift_ring,
    facelift_slots,
    lab_rig,
    orbit,
    random_rig,
    turntable,
)
from mfl_adapt.cameras.triangulation import Triangulation, nearest_point, triangulate

__all__ = [
    "FACELIFT_DISTANCE",
    "FACELIFT_FOCAL_RATIO",
    "FACELIFT_SLOTS_DEG",
    "FACELIFT_SLOT_NAMES",
    "Triangulation",
    "facelift_ring",
    "facelift_slots",
    "history",
    "lab_rig",
    "lens",
    "look_at",
    "look_at_map",
    "nearest_point",
    "orbit",
    "pixel_grid",
    "project",
    "random_rig",
    "ray_directions",
    "similarity",
    "to_w2c",
    "triangulate",
    "turntable",
    "unmap",
    "unproject",
]
