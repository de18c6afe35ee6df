"""The flat layout of the multi-view diffusion: six pictures without a camera file."""

import logging
from pathlib import Path

import numpy as np
import pytest
from facelift_folders import SIZE, make_folder, read
from helpers import shared_path
from mfl_adapt_facelift_reader.discover import can_read

from mfl_adapt.cameras import facelift_slots, history
from mfl_adapt.errors import DataError
from mfl_adapt.images import save_picture


def make_slots(folder: Path, count: int = 6, shape=(SIZE, SIZE)) -> Path:
    for index in range(count):
        rgb = np.full((*shape, 3), 10 * index, np.uint8)
        save_picture(folder / f"cam_{index:03d}.png", rgb, np.full(shape, 255, np.uint8))
    return folder


def test_the_flat_layout_has_the_cameras_of_the_slots(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    make_slots(tmp_path / "set/s")
    assert can_read(tmp_path / "set")
    assert can_read(tmp_path / "set/s")
    sample = read(tmp_path / "set")[0]
    (line,) = [record.message for record in caplog.records]
    assert "no camera files; the pictures are taken for those of FaceLift's slots (front, " in line
    names = ["front", "front_right", "right", "back", "left", "front_left"]
    assert [view.name for view in sample.views] == names
    assert [int(view.rgb[0, 0, 0]) for view in sample.views] == [0, 10, 20, 30, 40, 50]
    expected = facelift_slots(SIZE)
    assert np.array_equal(sample.cameras.c2w, expected.c2w)
    np.testing.assert_allclose(sample.cameras.fxfycxcy, expected.fxfycxcy, rtol=1e-14)
    # In front stands the camera at -y.
    np.testing.assert_allclose(sample.cameras.centers[0], [0.0, -2.7, 0.0], atol=1e-12)
    (step,) = sample.provenance
    assert step.params == {"mask": "alpha", "layout": "mvdiffusion", "cameras": "facelift_slots"}
    assert len(step.raw_cameras) == 6
    assert read(tmp_path / "set", views=["left"])[0].views[0].rgb[0, 0, 0] == 40


def test_the_flat_layout_by_list_file(tmp_path):
    make_slots(tmp_path / "data/s")
    (tmp_path / "l.txt").write_text("data/s\n")
    assert can_read(tmp_path / "l.txt")
    assert [sample.id for sample in read(tmp_path / "l.txt")] == ["data/s"]


@pytest.mark.parametrize(("count", "shown"), [(5, "got 5"), (7, "got 7")])
def test_the_flat_layout_has_six_pictures(tmp_path, count, shown):
    folder = make_slots(tmp_path / "s", count)
    with pytest.raises(DataError, match=f"six slot pictures cam_000.png .* {shown}"):
        read(folder)[0]


def test_flat_pictures_must_be_square_and_masked(tmp_path):
    with pytest.raises(DataError, match=r"cam_000\.png: expected the aspect of its camera"):
        read(make_slots(tmp_path / "a", shape=(20, 30)))[0]
    folder = make_slots(tmp_path / "b")
    save_picture(folder / "cam_002.png", np.zeros((SIZE, SIZE, 3), np.uint8))
    with pytest.raises(DataError, match=r"cam_002\.png: expected an alpha channel"):
        read(folder)[0]
    assert read(folder, mask="none")[0].views[0].mask is None


def test_layouts_are_never_mixed_silently(tmp_path):
    make_folder(tmp_path / "a", 1)
    make_slots(tmp_path / "b")
    with pytest.raises(
        DataError, match=r"b: expected opencv_cameras\.json as in the other samples"
    ):
        read(tmp_path)
    assert [sample.id for sample in read(tmp_path, layout="gslrm")] == ["a"]
    assert [sample.id for sample in read(tmp_path, layout="mvdiffusion")] == ["b"]


@pytest.mark.golden
def test_the_published_flat_sample():
    sample = read(shared_path("data/facelift_mv_sample"))[0]
    assert [view.name for view in sample.views][:2] == ["front", "front_right"]
    assert np.array_equal(sample.cameras.c2w, facelift_slots(512).c2w)
    shares = [(view.mask > 127).mean() for view in sample.views]
    assert 0.2 < min(shares) < max(shares) < 0.5
    assert (history.round_trip_px(sample) < 1e-9).all()
