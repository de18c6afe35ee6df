"""Cameras read from a sample's file, without its pictures."""

import json

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_slots, to_w2c
from mfl_adapt.cameras.camera_file import load_cameras
from mfl_adapt.errors import DataError


def write(path, **changes):
    cameras = facelift_slots(64)
    frames = []
    for index, (c2w, fxfycxcy) in enumerate(zip(cameras.c2w, cameras.fxfycxcy, strict=True)):
        intrinsics = dict(zip(("fx", "fy", "cx", "cy"), fxfycxcy.tolist(), strict=True))
        frames.append({
            "w": 64,
            "h": 64,
            **intrinsics,
            "w2c": to_w2c(c2w).tolist(),
            "file_path": f"images/cam_{index:03d}.png",
        })
    frames[2].update(changes)
    path.write_text(json.dumps({"frames": frames}))


def test_cameras_come_without_pictures(tmp_path):
    write(tmp_path / "opencv_cameras.json")
    found, wanted = load_cameras(tmp_path / "opencv_cameras.json"), facelift_slots(64)
    assert (found.height, found.width) == (64, 64)
    np.testing.assert_allclose(found.c2w, wanted.c2w, atol=1e-12)
    np.testing.assert_array_equal(found.fxfycxcy, wanted.fxfycxcy)


@pytest.mark.parametrize("changes", [{"w": 32}, {"h": 63}])
def test_sizes_must_agree(tmp_path, changes):
    write(tmp_path / "a.json", **changes)
    with pytest.raises(DataError, match=r"a\.json: expected one picture size, w and h, for all"):
        load_cameras(tmp_path / "a.json")


def test_bad_files_are_refused(tmp_path):
    write(tmp_path / "a.json", fx=-3.0)
    with pytest.raises(DataError, match=r"frames\[2\]\.fx: expected a positive focal length"):
        load_cameras(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DataError, match="expected a list of cameras under 'frames', got none"):
        load_cameras(tmp_path / "a.json")
    with pytest.raises(DataError, match="expected a JSON file of cameras, got No such file"):
        load_cameras(tmp_path / "b.json")
