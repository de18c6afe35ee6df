"""Datasets in FaceLift's layouts, written by hand."""

import json
from pathlib import Path

import numpy as np
from mfl_adapt_facelift_reader.config import GslrmReaderConfig
from mfl_adapt_facelift_reader.reader import GslrmReader

from mfl_adapt.cameras import facelift_ring, to_w2c
from mfl_adapt.images import save_picture
from mfl_adapt.types import Provenance, Sample, Similarity, View

SIZE = 24


def read(path: Path, **settings):
    return GslrmReader(GslrmReaderConfig(path=path, **settings))


def make_folder(folder: Path, num_views: int = 3, edit=None) -> Path:
    """A sample on disk, written by hand; ``edit`` changes the camera file's content."""
    rng = np.random.default_rng(0)
    cameras = facelift_ring(num_views, size=SIZE)
    frames = []
    for index in range(num_views):
        name = f"images/cam_{index:03d}.png"
        rgb = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        save_picture(folder / name, rgb, np.full((SIZE, SIZE), 200, np.uint8))
        numbers = dict(zip(("fx", "fy", "cx", "cy"), cameras.fxfycxcy[index].tolist(), strict=True))
        w2c = to_w2c(cameras.c2w[index]).tolist()
        frames.append({"w": SIZE, "h": SIZE, **numbers, "w2c": w2c, "file_path": name})
    content = {"id": "anything", "frames": frames}
    if edit:
        edit(content)
    (folder / "opencv_cameras.json").write_text(json.dumps(content))
    return folder


def make_sample(name: str) -> Sample:
    rng = np.random.default_rng(3)
    cameras = facelift_ring(2, size=SIZE, elevation_deg=17.3)
    views = [
        View(
            name=("left", "right")[index],
            rgb=rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
            mask=rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8),
            c2w=cameras.c2w[index],
            fxfycxcy=cameras.fxfycxcy[index] * 1.01,
        )
        for index in range(2)
    ]
    maps = tuple(((2.0 + i, 0.0, 0.1), (0.0, 2.0, 0.0), (0.0, 0.0, 1.0)) for i in range(2))
    world = Similarity(0.5, ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), (1.0, 2.0, 3.0))
    steps = (Provenance("raw", {"frame": 7}), Provenance("x", {}, "abc", maps, world))
    return Sample(name, tuple(views), steps, session="s1", animal="m1", time_s=2.5)
