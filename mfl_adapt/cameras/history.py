"""From the raw recording to a prepared sample and back, along its recorded history.

World points follow the similarities of all steps; pixels follow the lens, the order of the views
and the pixel maps. ``view`` is always the index of a view in the finished sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import lens
from mfl_adapt.cameras.projection import project, unproject
from mfl_adapt.cameras.similarity import apply, compose, invert
from mfl_adapt.cameras.triangulation import nearest_point
from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.types import Similarity

if TYPE_CHECKING:
    from mfl_adapt.types import Float, Provenance, RawCamera, Sample

_POINTS_PER_VIEW = 64
# Random points lie this far before and behind the subject, in shares of the camera's distance.
_DEPTH_SPREAD = 0.25


def world_change(history: Sequence[Provenance]) -> Similarity:
    """Return the one similarity from the raw world to the finished one."""
    whole = Similarity()
    for step in history:
        whole = compose(whole, step.world)
    return whole


def from_raw_world(points: Float, history: Sequence[Provenance]) -> Float:
    """Move raw world points [..., 3] into the finished sample's world."""
    return apply(world_change(history), points)


def to_raw_world(points: Float, history: Sequence[Provenance]) -> Float:
    """Move points [..., 3] of the finished sample's world back into the raw world."""
    return apply(invert(world_change(history)), points)


def raw_view(view: int, history: Sequence[Provenance]) -> int:
    """Index among the raw cameras of a view of the finished sample.

    Raises:
        RangeError: If the history has no such view.
    """
    return _trace(view, history)[-1]


def raw_camera(view: int, history: Sequence[Provenance]) -> RawCamera:
    """Return the recording's camera of a view of the finished sample.

    Raises:
        DataError: If the history does not begin at raw cameras.
        RangeError: If the history has no such view.
    """
    if not history or not history[0].raw_cameras:
        steps = ", ".join(step.step for step in history) or "no step"
        raise DataError(
            f"history: expected a first step that names the raw cameras, got {steps}. Prepare "
            f"the dataset again from the recording."
        )
    return history[0].raw_cameras[raw_view(view, history)]


def from_raw_pixels(pixels: Float, view: int, history: Sequence[Provenance]) -> Float:
    """Map pixels of the raw frame to pixels of the finished view.

    Args:
        pixels: Raw pixels (x, y), [P, 2].
        view: Index of the view in the finished sample.
        history: The sample's provenance.

    Returns:
        Pixels of the finished view, [P, 2]; NaN where the lens model has no ray for a raw pixel.

    Raises:
        DataError: If the history does not begin at raw cameras.
        RangeError: If the history has no such view.
    """
    camera = raw_camera(view, history)
    straight = np.array(pixels, dtype=np.float64)
    if not lens.is_straight(camera):
        rays = lens.undistort(lens.from_pixels(straight, camera), camera)
        straight = rays * camera.fxfycxcy[:2] + camera.fxfycxcy[2:]
    return _through(pixel_map(view, history), straight)


def to_raw_pixels(pixels: Float, view: int, history: Sequence[Provenance]) -> Float:
    """Map pixels of the finished view back to pixels of the raw frame.

    Args:
        pixels: Pixels (x, y) of the finished view, [P, 2].
        view: Index of the view in the finished sample.
        history: The sample's provenance.

    Returns:
        Raw pixels, [P, 2]; NaN beyond the fold of the lens model.

    Raises:
        DataError: If the history does not begin at raw cameras.
        RangeError: If the history has no such view.
    """
    camera = raw_camera(view, history)
    back = np.asarray(np.linalg.inv(pixel_map(view, history)), np.float64)
    straight = _through(back, np.array(pixels, dtype=np.float64))
    if lens.is_straight(camera):
        return straight
    rays = (straight - camera.fxfycxcy[2:]) / camera.fxfycxcy[:2]
    return lens.to_pixels(lens.distort(rays, camera), camera)


def pixel_map(view: int, history: Sequence[Provenance]) -> Float:
    """One 3x3 map from the undistorted raw frame to the finished view.

    Raises:
        RangeError: If the history has no such view.
    """
    whole = np.eye(3)
    for step, index in zip(reversed(history), _trace(view, history), strict=False):
        if step.pixel_maps:
            whole = whole @ np.array(step.pixel_maps[index])
    return whole


def round_trip_px(sample: Sample, points_raw: Float | None = None, *, seed: int = 0) -> Float:
    """Largest disagreement between a sample's cameras and its recorded history.

    A raw point is projected in two ways: by the recording's camera and then along the pixel maps,
    and along the world changes and then by the finished camera. An exact history gives rounding
    error alone.

    Args:
        sample: A sample whose history begins at raw cameras.
        points_raw: Raw world points, [P, 3]; None draws points around the subject that the
            finished views show.
        seed: Of the random points.

    Returns:
        Pixels of the finished pictures, one value per view, [V]; infinite where no point could
        be compared.

    Raises:
        DataError: If the history does not begin at raw cameras.
    """
    history = sample.provenance
    if points_raw is None:
        points_raw = to_raw_world(_random_points(sample, seed), history)
    finished = from_raw_world(points_raw, history)
    worst = np.full(len(sample.views), np.inf)
    for index, view in enumerate(sample.views):
        seen, _ = project(finished, view.c2w, view.fxfycxcy)
        raw, _ = lens.project_raw(points_raw, raw_camera(index, history))
        error = np.linalg.norm(from_raw_pixels(raw, index, history) - seen, axis=1)
        # Outside the picture a lens model may be far from anything it was fitted to.
        shown = ((seen >= 0) & (seen <= [view.width, view.height])).all(axis=1)
        compared = error[shown & np.isfinite(error)]
        if len(compared):
            worst[index] = compared.max()
    return worst


def _random_points(sample: Sample, seed: int) -> Float:
    """World points that the finished views show, near where their axes meet, [P, 3]."""
    rng = np.random.default_rng(seed)
    centers = np.stack([view.c2w[:3, 3] for view in sample.views])
    forward = np.stack([view.c2w[:3, 2] for view in sample.views])
    forward = forward / np.linalg.norm(forward, axis=1, keepdims=True)
    try:
        subject = nearest_point(centers, forward, np.ones(len(centers)))
    except DataError:  # one view, or parallel ones: any depth serves
        subject = centers[0] + forward[0]
    points = []
    for view, center, axis in zip(sample.views, centers, forward, strict=True):
        pixels = rng.uniform(size=(_POINTS_PER_VIEW, 2)) * [view.width, view.height]
        away = subject - center
        # A camera that does not look at the subject still gets points before it.
        distance = max(float(axis @ away), 1e-3 * float(np.linalg.norm(away)))
        depth = distance * rng.uniform(1 - _DEPTH_SPREAD, 1 + _DEPTH_SPREAD, _POINTS_PER_VIEW)
        points.append(unproject(pixels, depth, view.c2w, view.fxfycxcy))
    return np.concatenate(points)


def _trace(view: int, history: Sequence[Provenance]) -> list[int]:
    # Indices of a view after each step, last step first; the last entry is the raw view.
    indices = [view]
    for step in reversed(history):
        index = indices[-1]
        size = max(len(step.order), len(step.pixel_maps), len(step.raw_cameras))
        if index < 0 or (size and index >= size):
            raise RangeError(
                f"history: expected a view from 0 to {size - 1} at step {step.step}, got {index}. "
                f"Count the views of the finished sample."
            )
        indices.append(step.order[index] if step.order else index)
    return indices


def _through(matrix: Float, points: Float) -> Float:
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Behind the camera a pixel has a mirrored image that no picture shows.
        return np.where(moved[:, 2:] > 0, moved[:, :2] / moved[:, 2:], np.nan)
