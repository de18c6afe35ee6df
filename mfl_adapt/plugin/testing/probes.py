"""Samples of a known scene, as a laboratory might have recorded it.

They are drawn by the geometry oracle: a world in odd units away from its origin, cameras that look
past the subject, principal points off the middle, frames that are not square. The subject is never
cut by the frame: what a frame does not show, nobody can ask a stage for.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.synth import Ellipsoid
    from mfl_adapt.types import Cameras, Float, Sample, Similarity

Kind = Literal["raw", "slots"]


@dataclass(frozen=True, eq=False)
class Probe:
    """A sample and what it shows.

    Attributes:
        sample: Six views with masks.
        scene: What was in front of the cameras.
        world: From the scene's world to that of the sample's raw cameras.
    """

    sample: Sample
    scene: Sequence[Ellipsoid]
    world: Similarity


def make_probe(kind: Kind = "raw") -> Probe:
    """Draw a probe: ``raw`` as recorded, ``slots`` by FaceLift's cameras.

    Its sample is the caller's own: a plugin that edits what it is given spoils no other's.
    """
    drawn = _draw_probe(kind)
    return replace(drawn, sample=copy_of(drawn.sample))


def copy_of(sample: Sample) -> Sample:
    """The same sample with arrays of its own, so that an edit does no harm to other rules."""
    copy: Sample = pickle.loads(pickle.dumps(sample))
    return copy


@cache
def _draw_probe(kind: Kind) -> Probe:
    from mfl_adapt.cameras import facelift_slots, lab_rig, similarity
    from mfl_adapt.images import RawView, begin_sample
    from mfl_adapt.synth import make_scene, render_scene, scene_seed
    from mfl_adapt.types import RawCamera, Similarity

    if kind == "raw":
        scene = make_scene("mice", scene_seed("train", 0))
        cameras = _aside(lab_rig())
        turn = _turn(np.array([0.0, 0.0, 1.0]), 73.0)
        world = similarity.from_parts(120.0, turn, np.array([-150.0, 90.0, 60.0]))
    else:
        scene = make_scene("mice", scene_seed("train", 1))
        cameras, world = facelift_slots(96), Similarity()
    views = []
    poses = similarity.move_cameras(world, cameras.c2w)
    for index, seen in enumerate(render_scene(scene, cameras)):
        camera = RawCamera(
            c2w=tuple(tuple(row) for row in poses[index].tolist()),
            fxfycxcy=tuple(cameras.fxfycxcy[index].tolist()),
            height=cameras.height,
            width=cameras.width,
        )
        rgb = np.rint(seen.rgb * 255).astype(np.uint8)
        mask = np.rint(seen.alpha * 255).astype(np.uint8)
        views.append(RawView(f"cam_{index:03d}", rgb, mask, camera, f"probe cam_{index:03d}"))
    sample = begin_sample(
        f"probe-{kind}", views, step="kit", params={}, session="s1", animal="a1", time_s=0.5
    )
    return Probe(sample, scene.ellipsoids, world)


def spoiled(sample: Sample) -> dict[str, Sample]:
    """Samples that a stage may refuse, by what is wrong with them; each has its own arrays."""
    empty = [replace(v, mask=np.zeros(v.rgb.shape[:2], np.uint8)) for v in sample.views]
    whole = [replace(v, mask=np.full(v.rgb.shape[:2], 255, np.uint8)) for v in sample.views]
    bare = [replace(v, mask=None) for v in sample.views]
    found = {
        "a sample without masks": replace(sample, views=tuple(bare)),
        "a sample of empty masks": replace(sample, views=tuple(empty)),
        "a sample of whole masks": replace(sample, views=tuple(whole)),
        "a sample of one view": replace(sample, views=sample.views[:1]),
        "a sample with one mask missing": replace(sample, views=(bare[0], *sample.views[1:])),
    }
    return {what: copy_of(one) for what, one in found.items()}


def ring(num_views: int) -> Cameras:
    """Cameras around the origin, for view policies."""
    from mfl_adapt.cameras import facelift_ring

    return facelift_ring(num_views, size=64)


def _aside(rig: Cameras) -> Cameras:
    """The same places with tilted axes, a frame of 112 x 136 px and odd principal points."""
    from mfl_adapt.types import Cameras

    rng = np.random.default_rng(0)
    c2w, fxfycxcy, height, width = rig.c2w.copy(), rig.fxfycxcy.copy(), 112, 136
    for pose in c2w:
        tilt = _turn(np.array([*rng.normal(size=2), 0.0]), rng.uniform(1.0, 4.0))
        pose[:3, :3] = pose[:3, :3] @ tilt @ _turn(np.array([0.0, 0.0, 1.0]), rng.uniform(-3, 3))
    fxfycxcy[:, :2] *= 0.8 * width / rig.width
    fxfycxcy[:, 2] = width / 2 + rng.uniform(-4, 4, len(c2w))
    fxfycxcy[:, 3] = height / 2 + rng.uniform(-4, 4, len(c2w))
    return Cameras(c2w, fxfycxcy, height, width)


def _turn(axis: Float, degrees: float) -> Float:
    """Rotation about an axis by Rodrigues' formula, [3, 3]."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
