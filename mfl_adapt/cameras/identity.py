"""Whether cameras are the very ones that a record speaks of.

A set of cameras is known by a hash; how far another set is from it is told in numbers. Neither
needs a picture, so a view whose picture was made for one camera and stored with another is found
even where the two look alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.cameras.history import pixel_map, raw_view, world_change
from mfl_adapt.cameras.similarity import invert, move_cameras
from mfl_adapt.errors import ShapeError
from mfl_adapt.types import RawCamera

if TYPE_CHECKING:
    from mfl_adapt.types import Cameras, Float, Sample

SEAL = "generating_cameras_sha256"
"""Key among the settings of a history's first step: its views were generated, for cameras of this
hash."""

# Numbers count to a millionth of a world unit or pixel: far below what a picture can show, far
# above what another machine's sine rounds differently.
_DECIMALS = 6


class CameraGap(NamedTuple):
    """Largest differences between two sets of cameras, over all views.

    Attributes:
        angle_deg: Between the orientations.
        position: Between the centres, in world units.
        lens_px: Between focal lengths or principal points, in pixels.
        share: The largest of the three as a share: of a radian, of the distance from the origin,
            of the picture's width.
        view: Index of the view that ``share`` is from.
    """

    angle_deg: float
    position: float
    lens_px: float
    share: float
    view: int


def hash_cameras(cameras: Sequence[RawCamera]) -> str:
    """SHA-256 over poses, intrinsics and sizes, rounded to six decimals, as canonical JSON.

    Lenses do not count: it is for cameras that made pictures by projection alone.

    Args:
        cameras: In the order of the views, which counts.

    Returns:
        64 hexadecimal digits.
    """
    plain = [
        {
            "c2w": [_rounded(row) for row in camera.c2w],
            "fxfycxcy": _rounded(camera.fxfycxcy),
            "height": camera.height,
            "width": camera.width,
        }
        for camera in cameras
    ]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_raw_cameras(cameras: Cameras) -> tuple[RawCamera, ...]:
    """Return V pinhole cameras as plain records.

    Raises:
        ShapeError: If there is a batch axis.
    """
    if len(cameras.shape) != 1:
        raise ShapeError(
            f"to_raw_cameras: expected c2w [V, 4, 4], got {list(np.shape(cameras.c2w))}. Take one "
            "sample's cameras."
        )
    return tuple(
        _to_raw(c2w, fxfycxcy, cameras.height, cameras.width)
        for c2w, fxfycxcy in zip(cameras.c2w, cameras.fxfycxcy, strict=True)
    )


def undo_history(sample: Sample, recorded: Sequence[RawCamera]) -> list[tuple[int, RawCamera]]:
    """Return the cameras of a sample as they were before the recorded steps.

    Every exact step is a map of pixels and a similarity of the world, so a camera that went
    through them comes back as it was, also where a step turned it and gave it another lens.

    Args:
        sample: Its history begins with a step that names raw cameras.
        recorded: Those cameras, of which only the sizes are used.

    Returns:
        For every view, its index among the recorded cameras and its camera.

    Raises:
        RangeError: If the history has no such view.
    """
    back = invert(world_change(sample.provenance))
    found = []
    for index, view in enumerate(sample.views):
        moved = move_cameras(back, view.c2w)
        fx, fy, cx, cy = view.fxfycxcy
        intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        # Pixels back to the first picture's: what remains is again a lens times a rotation.
        whole = np.linalg.inv(pixel_map(index, sample.provenance)) @ intrinsics
        lens, turn = _split(whole @ moved[:3, :3].T)
        pose = moved.copy()
        pose[:3, :3] = turn.T
        place = raw_view(index, sample.provenance)
        size = recorded[place]
        numbers = np.array([lens[0, 0], lens[1, 1], lens[0, 2], lens[1, 2]])
        found.append((place, _to_raw(pose, numbers, size.height, size.width)))
    return found


def measure_gap(found: Sequence[RawCamera], expected: Sequence[RawCamera]) -> CameraGap:
    """Return how far cameras are from those that they should be.

    Args:
        found: At least one camera.
        expected: As many, in the same order.
    """
    gaps = [_gap(one, other) for one, other in zip(found, expected, strict=True)]
    # NaN is the largest gap of all.
    shares = [np.inf if np.isnan(gap[3]) else gap[3] for gap in gaps]
    view = int(np.argmax(shares))
    angle, position, lens, _ = (float(value) for value in np.max(gaps, axis=0))
    return CameraGap(angle, position, lens, shares[view], view)


def _gap(found: RawCamera, expected: RawCamera) -> tuple[float, float, float, float]:
    one, other = np.array(found.c2w), np.array(expected.c2w)
    # The chord between rotations is accurate down to 0, where a cosine is not.
    chord = float(np.linalg.norm(one[:3, :3] - other[:3, :3])) / np.sqrt(8)
    angle = 2 * float(np.arcsin(min(chord, 1.0))) if np.isfinite(chord) else float("nan")
    position = float(np.linalg.norm(one[:3, 3] - other[:3, 3]))
    distance = float(np.linalg.norm(other[:3, 3])) or 1.0
    lens = float(np.abs(np.array(found.fxfycxcy) - np.array(expected.fxfycxcy)).max())
    resized = (found.height, found.width) != (expected.height, expected.width)
    shares = [angle, position / distance, lens / expected.width, float(resized)]
    return float(np.degrees(angle)), position, lens, float(np.max(shares))


def _split(matrix: Float) -> tuple[Float, Float]:
    """Split a 3x3 matrix, known up to scale, into intrinsics and a rotation with det +1."""
    from scipy.linalg import rq

    upper, turn = rq(matrix * np.sign(np.linalg.det(matrix)))
    signs = np.sign(np.diag(upper))
    upper, turn = upper * signs, signs[:, None] * turn
    return upper / upper[2, 2], turn


def _to_raw(c2w: Float, fxfycxcy: Float, height: int, width: int) -> RawCamera:
    first, second, third, last = ((float(a), float(b), float(c), float(d)) for a, b, c, d in c2w)
    fx, fy, cx, cy = (float(value) for value in fxfycxcy)
    return RawCamera((first, second, third, last), (fx, fy, cx, cy), height, width)


def _rounded(numbers: Sequence[float]) -> list[float]:
    # Adding 0 turns -0.0 into 0.0, which JSON would tell apart.
    return [round(float(number), _DECIMALS) + 0.0 for number in numbers]
