"""Which way is up, from where the cameras stand and how they are held."""

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Sample

from .config import Vector

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_log = logging.getLogger(__name__)

_REMEDY = "Give the direction as up: [x, y, z]."
# Smaller spread across the line of the cameras, relative to that along it, as variances.
_COLLINEAR = 0.01
# Share of the second spread by which the third is smaller: 1 on a ring of one height, 0.96 for a
# laboratory rig with elevations of 11 to 31 degrees.
_POOR_FLATNESS, _DOUBTFUL_FLATNESS = 0.5, 0.9
# Least component of the cameras' own mean up along the normal: that of an elevation of 78 degrees.
_LEAST_UPRIGHT = 0.2


class Up(NamedTuple):
    """An up direction and how sure it is.

    Attributes:
        direction: Unit vector in the world, [3].
        flatness: 1 where all camera centres lie in a plane, 0 where they fill space alike; None
            where the direction was given.
    """

    direction: "Float"
    flatness: float | None


def find_up(sample: Sample, wanted: str | Vector) -> Up:
    """Return the given direction, or estimate it from the cameras where ``wanted`` is ``auto``.

    Raises:
        DataError: If it shall be estimated and the cameras do not tell.
    """
    if isinstance(wanted, str):
        return estimate_up(sample)
    return Up(np.asarray(wanted, np.float64) / np.linalg.norm(wanted), None)


def estimate_up(sample: Sample) -> Up:
    """Normal of the plane through the camera centres, on the side of the cameras' own up.

    Right for cameras in a ring around the animal; an arc of cameras over it has a normal that
    lies flat, which is refused.

    Raises:
        DataError: If there are fewer than three cameras, or they stand in a line, fill space, or
            are not held upright with respect to the normal.
    """
    c2w = np.stack([view.c2w for view in sample.views]) if sample.views else np.empty((0, 4, 4))
    if len(c2w) < 3:
        raise DataError(
            f"sample {sample.id}: expected three cameras or more to estimate up, got {len(c2w)}. "
            f"{_REMEDY}"
        )
    normal, flatness = _plane(c2w[:, :3, 3], sample)
    upright = float(np.mean(-c2w[:, :3, 1], axis=0) @ normal)
    if abs(upright) < _LEAST_UPRIGHT:
        raise DataError(
            f"sample {sample.id}: expected cameras in a ring around the subject, held upright, to "
            f"estimate up; got a mean camera up with only {abs(upright):.2f} along the normal of "
            f"the cameras' plane. {_REMEDY}"
        )
    if flatness < _DOUBTFUL_FLATNESS:
        _log.warning(
            "sample %s: up is doubtful, the camera centres have a flatness of %.2f. %s",
            sample.id,
            flatness,
            _REMEDY,
        )
    return Up(normal * np.sign(upright), flatness)


def _plane(centers: "Float", sample: Sample) -> tuple["Float", float]:
    """Normal of the plane nearest to the camera centres, and their flatness.

    Raises:
        DataError: If the centres are near a line, or not near any plane.
    """
    offsets = centers - centers.mean(axis=0)
    spreads, axes = np.linalg.eigh(offsets.T @ offsets)
    if spreads[1] <= _COLLINEAR * spreads[2]:
        raise DataError(
            f"sample {sample.id}: expected cameras around the subject to estimate up, got camera "
            f"centres nearly in one line. {_REMEDY}"
        )
    flatness = 1.0 - float(spreads[0] / spreads[1])
    if flatness < _POOR_FLATNESS:
        raise DataError(
            f"sample {sample.id}: expected camera centres near a plane to estimate up, got a "
            f"flatness of {flatness:.2f} (least {_POOR_FLATNESS:g}). {_REMEDY}"
        )
    return axes[:, 0], flatness
