"""The world rotated about its origin until up is +z; no pixel moves."""

import math

from mfl_adapt.images import warp_sample
from mfl_adapt.types import Sample

from .config import UpAxisConfig
from .rotations import rotation_between, similarity_about
from .upright import find_up


class UpAxis:
    """The component ``facelift_cameras.up_axis``.

    The smallest rotation is taken, so azimuths change as little as they can.
    """

    def __init__(self, config: UpAxisConfig) -> None:
        """Take the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample in an upright world.

        Raises:
            DataError: If up is to be estimated and the cameras do not tell.
        """
        up = find_up(sample, self._config.up)
        level = math.hypot(up.direction[0], up.direction[1])
        measured = {
            "up": up.direction.tolist(),
            "flatness": up.flatness,
            "angle_deg": math.degrees(math.atan2(level, up.direction[2])),
        }
        return warp_sample(
            sample,
            step="facelift_cameras.up_axis",
            params={"settings": self._config.model_dump(mode="json"), "measured": measured},
            world=similarity_about([0.0] * 3, rotation=rotation_between(up.direction, [0, 0, 1])),
        )
