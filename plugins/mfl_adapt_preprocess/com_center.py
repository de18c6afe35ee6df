"""Every camera turned to the subject's centre of mass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.cameras import look_at_map
from mfl_adapt.errors import DataError
from mfl_adapt.images import warp_sample

from .config import ComCenterConfig
from .masks import HALF, name_view, subject_mask

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Sample, View

_STEP = "preprocess.com_center"
_ROUNDS = 20
_CENTRED_PX = 1e-3
# Least cosine between the new axis and the ray of a subject's pixel: within 84 degrees.
_LEAST_COSINE = 0.1


class _Turn(NamedTuple):
    """A camera about to look at its subject.

    Attributes:
        rotation: Old camera axes to new ones, [3, 3].
        focal: The one focal length of the new camera, in pixels.
        reach_px: How far the subject extends from the new middle, along x or y.
    """

    rotation: Float
    focal: float
    reach_px: float


class ComCenter:
    """Turns each camera about its own centre until the centre of mass is in the middle.

    Nothing moves but the viewing direction, so the homography is exact whatever the scene's depth.
    The new pictures are square, with fx = fy and the principal point in the middle; how the
    camera is rolled about its axis stays.
    """

    def __init__(self, config: ComCenterConfig) -> None:
        """Keep the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample seen by turned cameras.

        Raises:
            DataError: If a view has no mask or an empty one, or the subject does not fit.
        """
        turns = [_turn_to_subject(sample, view) for view in sample.views]
        side = self._side(sample, turns)
        maps = [_map(view, turn, side) for view, turn in zip(sample.views, turns, strict=True)]
        cosines = [float(np.clip(turn.rotation[2, 2], -1.0, 1.0)) for turn in turns]
        turned_deg = [round(math.degrees(math.acos(cosine)), 6) for cosine in cosines]
        params: dict[str, Any] = {"side": side, "turned_deg": turned_deg}
        sizes = [(side, side)] * len(turns)
        return warp_sample(sample, step=_STEP, params=params, pixel_maps=maps, sizes=sizes)

    def _side(self, sample: Sample, turns: list[_Turn]) -> int:
        needed = [2 * math.ceil(turn.reach_px + 1) for turn in turns]
        asked = self._config.side
        if asked is None:
            return max(*needed, min(min(view.height, view.width) for view in sample.views))
        if asked < max(needed):
            view = sample.views[int(np.argmax(needed))]
            raise DataError(
                f"{name_view(sample, view)}: expected a side of at least {max(needed)} px, so that "
                f"the subject stays whole, got {asked}. Raise side of {_STEP}, or leave it unset."
            )
        return asked


def _turn_to_subject(sample: Sample, view: View) -> _Turn:
    """Find the rotation that puts the centre of mass on the axis.

    A turn also stretches the picture, more so on the side it turns to, and the centre of mass of
    the turned picture is what must end in the middle; so the turn is corrected until it does.

    Raises:
        DataError: If there is no mask, or the subject fills half the horizon.
    """
    mask = subject_mask(sample, view)
    fx, fy, cx, cy = view.fxfycxcy
    focal = math.sqrt(fx * fy)
    rows, columns = np.nonzero(mask)
    weights = mask[rows, columns] / 255.0
    rays = np.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy], axis=-1)
    rays = np.concatenate([rays, np.ones_like(rays[:, :1])], axis=-1)
    axis = weights @ rays
    for _ in range(_ROUNDS):
        rotation = _shortest_rotation(axis)
        turned = rays @ rotation.T
        depth = turned[:, 2]
        if (depth < _LEAST_COSINE * np.linalg.norm(turned, axis=1)).any():
            raise DataError(
                f"{name_view(sample, view)}: expected a subject within 84 deg of its own centre of "
                f"mass, got a wider one. Check the mask and the focal length {focal:.4g} px."
            )
        flat = turned[:, :2] / depth[:, None]
        # A pixel's area in the turned picture is its old one over depth cubed.
        middle = (weights / depth**3) @ flat / (weights / depth**3).sum()
        if focal * np.hypot(*middle) < _CENTRED_PX:
            break
        axis = rotation.T @ np.array([*middle, 1.0])
    solid = mask[rows, columns] > HALF
    return _Turn(rotation, focal, float(focal * np.abs(flat[solid]).max()))


def _shortest_rotation(axis: Float) -> Float:
    """Rotation [3, 3] that takes ``axis`` (with z > 0) to +z, without roll."""
    x, y, z = axis / np.linalg.norm(axis)
    tilt = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + tilt + tilt @ tilt / (1.0 + z)


def _map(view: View, turn: _Turn, side: int) -> Float:
    c2w = np.array(view.c2w, dtype=np.float64)
    c2w[:3, :3] = c2w[:3, :3] @ turn.rotation.T
    fxfycxcy = np.array([turn.focal, turn.focal, side / 2.0, side / 2.0])
    return look_at_map(view.c2w, view.fxfycxcy, c2w, fxfycxcy)
