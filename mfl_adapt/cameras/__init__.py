"""Camera geometry in numpy float64: projection, look-at poses and rigs."""

from mfl_adapt.cameras.lookat import look_at
from mfl_adapt.cameras.projection import pixel_grid, project, ray_directions, to_w2c, unproject
from mfl_adapt.cameras.rigs import (
    FACELIFT_DISTANCE,
    FACELIFT_FOCAL_RATIO,
    FACELIFT_SLOTS_DEG,
    facelift_ring,
    facelift_slots,
    lab_rig,
    orbit,
    random_rig,
    turntable,
)

__all__ = [
    "FACELIFT_DISTANCE",
    "FACELIFT_FOCAL_RATIO",
    "FACELIFT_SLOTS_DEG",
    "facelift_ring",
    "facelift_slots",
    "lab_rig",
    "look_at",
    "orbit",
    "pixel_grid",
    "project",
    "random_rig",
    "ray_directions",
    "to_w2c",
    "turntable",
    "unproject",
]
