"""Small samples for the data tests."""

import numpy as np

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.types import RigContract, Sample, View

CONTRACT = RigContract(size=16, patch=8, depth_reach=1.8)


def make_sample(name: str = "s", *, size: int = 24, views: int = 3, **labels: object) -> Sample:
    """Random pixels on a ring of cameras."""
    rng = np.random.default_rng(len(name))
    cameras = facelift_ring(views, size=size)
    made = [
        View(
            name=f"cam_{index:03d}",
            rgb=rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
            mask=rng.integers(0, 256, (size, size), dtype=np.uint8),
            c2w=cameras.c2w[index],
            fxfycxcy=cameras.fxfycxcy[index],
            source=f"{name}/images/cam_{index:03d}.png",
        )
        for index in range(views)
    ]
    return Sample(name, tuple(made), **labels)
