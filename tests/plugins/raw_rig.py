"""A mouse as a laboratory records it: raw units, a tilted world, cameras that look past it."""

from dataclasses import replace
from functools import cache

import numpy as np

from mfl_adapt.cameras import (
    lab_rig,
    pixel_grid,
    project,
    random_rig,
    ray_directions,
    similarity,
)
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.synth import make_scene, render_scene, scene_seed
from mfl_adapt.types import Cameras, RawCamera

HEIGHT, WIDTH = 112, 136


def rotation(axis, degrees):
    """Rodrigues' formula."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


# Millimetres about, the animal 0.2 m off the origin, azimuths turned.
RAW_WORLD = similarity.from_parts(120.0, rotation([0, 0, 1], 73.0), np.array([-150.0, 90.0, 60.0]))
TILTED_WORLD = similarity.from_parts(
    120.0, rotation([1.0, -2.0, 0.5], 50.0), np.array([-150.0, 90.0, 60.0])
)


def aside(rig, rng, *, turn_deg=4.0, zoom=1.0, size=(HEIGHT, WIDTH)):
    """Cameras at the same places that look past the origin, rolled, with an odd frame."""
    c2w, fxfycxcy = rig.c2w.copy(), rig.fxfycxcy.copy()
    height, width = size
    for pose in c2w:
        tilt = rotation([*rng.normal(size=2), 0.0], rng.uniform(0.3, 1.0) * turn_deg)
        pose[:3, :3] = pose[:3, :3] @ tilt @ rotation([0, 0, 1], rng.uniform(-3, 3))
    fxfycxcy[:, :2] *= zoom * width / rig.width
    fxfycxcy[:, 1] *= 1.01
    fxfycxcy[:, 2] = width / 2 + rng.uniform(-4, 4, len(c2w))
    fxfycxcy[:, 3] = height / 2 + rng.uniform(-4, 4, len(c2w))
    return Cameras(c2w, fxfycxcy, height, width)


def to_raw(cameras, pictures=None, *, world=RAW_WORLD, name="mouse-000120"):
    """A sample that begins in the raw world; without pictures it is grey, with whole masks."""
    c2w = similarity.move_cameras(world, cameras.c2w)
    views = []
    for index, (pose, intrinsics) in enumerate(zip(c2w, cameras.fxfycxcy, strict=True)):
        rgb = np.full((cameras.height, cameras.width, 3), 128, np.uint8)
        mask = np.full((cameras.height, cameras.width), 255, np.uint8)
        if pictures is not None:
            rgb = np.rint(pictures[index].rgb * 255).astype(np.uint8)
            mask = np.rint(pictures[index].alpha * 255).astype(np.uint8)
        rows = tuple(tuple(row) for row in pose.tolist())
        camera = RawCamera(rows, tuple(intrinsics.tolist()), cameras.height, cameras.width)
        views.append(RawView(f"cam_{index:03d}", rgb, mask, camera))
    return begin_sample(name, views, step="raw", params={})


@cache
def raw_mouse(index=0, *, seed=0, rig="lab", world=RAW_WORLD):
    """A rendered mouse seen by the lab rig or a random one, as recorded."""
    rng = np.random.default_rng(seed)
    chosen = lab_rig() if rig == "lab" else random_rig(rng, 8, distance=(2.0, 3.4))
    cameras = aside(chosen, rng, zoom=0.8)
    scene = make_scene("mice", scene_seed("train", index))
    return to_raw(cameras, render_scene(scene, cameras), world=world)


def pixels_of(points, view):
    """Projection of world points [P, 3] into a view, [P, 2]."""
    return project(np.asarray(points, np.float64), view.c2w, view.fxfycxcy)[0]


def ball(center, radius, cameras, *, world=RAW_WORLD, name="ball"):
    """A sample whose masks are the exact shadows of a ball; centre and radius in the rig's world.

    A pixel is inside where its ray passes the centre at less than the radius.
    """
    sample = to_raw(cameras, world=world, name=name)
    views = []
    for index, view in enumerate(sample.views):
        pose, pixels = cameras.c2w[index], pixel_grid(view.height, view.width).reshape(-1, 2)
        rays = ray_directions(pixels, pose, cameras.fxfycxcy[index])
        offset = np.asarray(center) - pose[:3, 3]
        past = np.linalg.norm(offset - (rays @ offset)[:, None] * rays, axis=1)
        inside = (past < radius).reshape(view.height, view.width)
        views.append(replace(view, mask=inside.astype(np.uint8) * 255))
    return replace(sample, views=tuple(views))
