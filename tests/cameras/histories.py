"""A history with everything in it: lenses, a permutation, homographies and a similarity."""

import numpy as np
from scipy.spatial.transform import Rotation

from mfl_adapt.cameras import look_at, look_at_map, similarity
from mfl_adapt.images import RawView, begin_sample, resize_map, warp_sample
from mfl_adapt.types import RawCamera, Sample

HEIGHT, WIDTH = 96, 108
LENSES = (
    ("brown", (-0.3, 0.1, 0.001, -0.0008, 0.02), 0.0),
    ("fisheye", (0.05, -0.02, 0.01, -0.003), 0.0),
    ("pinhole", (), 0.9),
    ("brown", (0.8, -0.5, 0.001, 0.0004, 0.09, 1.1, -0.3, 0.02), -0.4),
)
SUBJECT = np.array([22.0, -15.0, 8.0])


def raw_cameras() -> tuple[RawCamera, ...]:
    """Four cameras in millimetres around a subject off the origin, none of them aimed at it."""
    cameras = []
    for index, (lens, distortion, skew) in enumerate(LENSES):
        angle = 0.4 + 1.6 * index
        center = SUBJECT + (250.0 + 40 * index) * np.array([
            np.cos(angle),
            np.sin(angle),
            0.3 + 0.05 * index,
        ])
        pose = look_at(center, SUBJECT + np.array([6.0, -4.0, 5.0]), up=[0.05, 0.02, 1.0])
        intrinsics = (150.0 + index, 148.0, 52.0 + index, 49.5)
        rows = tuple(tuple(row) for row in pose.tolist())
        cameras.append(RawCamera(rows, intrinsics, HEIGHT, WIDTH, lens, distortion, skew))
    return tuple(cameras)


def raw_sample() -> Sample:
    rng = np.random.default_rng(0)
    views = [
        RawView(
            f"cam{index}",
            rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
            np.full((HEIGHT, WIDTH), 255, np.uint8),
            camera,
            f"video{index}.mp4",
        )
        for index, camera in enumerate(raw_cameras())
    ]
    return begin_sample("s", views, step="test.reader", params={})


def finished_sample(scale: float = 0.008, size: int = 64) -> Sample:
    """Recentre, turn and scale the world, aim three of the four cameras, then resize."""
    sample = raw_sample()
    turn = Rotation.from_rotvec([0.1, -0.2, 0.7]).as_matrix()
    world = similarity.from_parts(scale, turn, -scale * turn @ SUBJECT)
    order = (2, 0, 3)
    maps = []
    for index in order:
        view = sample.views[index]
        aimed = look_at(view.c2w[:3, 3], SUBJECT)
        maps.append(look_at_map(view.c2w, view.fxfycxcy, aimed, [120.0, 120.0, 40.0, 40.0]))
    sample = warp_sample(
        sample,
        step="test.aim",
        params={},
        pixel_maps=maps,
        sizes=[(80, 80)] * 3,
        world=world,
        order=order,
    )
    return warp_sample(
        sample,
        step="conform",
        params={},
        pixel_maps=[resize_map((80, 80), (size, size))] * 3,
        sizes=[(size, size)] * 3,
    )
