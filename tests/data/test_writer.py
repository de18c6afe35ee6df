"""Datasets on disk; that the reader gets them back is tested with the reader."""

import json
from dataclasses import replace

import pytest
from small_samples import make_sample

from mfl_adapt.data import Split, fingerprint, write_dataset
from mfl_adapt.errors import DataError, StorageError
from mfl_adapt.images import load_picture
from mfl_adapt.types import Provenance, RawCamera


def test_layout(tmp_path):
    samples = [make_sample("a", session="day 1", animal="m7"), make_sample("b/c")]
    folder = tmp_path / "data"
    split = Split((1,), (0,))
    write_dataset(samples, folder, split=split, description={"species": "mouse"})
    assert (folder / "data_train.txt").read_text() == "b/c\n"
    assert (folder / "data_val.txt").read_text() == "a\n"
    summary = json.loads((folder / "dataset.json").read_text())
    assert summary["samples"] == ["a", "b/c"]
    assert summary["species"] == "mouse"
    assert summary["sessions"] == ["day 1"]
    assert summary["fingerprint"] == fingerprint(samples)
    frames = json.loads((folder / "b/c/opencv_cameras.json").read_text())["frames"]
    assert [frame["file_path"] for frame in frames] == [f"images/cam_00{i}.png" for i in range(3)]
    assert {"w", "h", "fx", "fy", "cx", "cy", "w2c"} <= set(frames[0])
    assert load_picture(folder / "b/c/images/cam_002.png").mask is not None
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data"]


def test_an_empty_validation_side_has_no_list(tmp_path):
    write_dataset([make_sample("a")], tmp_path / "d", split=Split((0,), (), views_only=True))
    assert not (tmp_path / "d/data_val.txt").exists()


def test_never_overwrites(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(StorageError, match="mine: expected a new or empty folder, got one in use"):
        write_dataset([make_sample("a")], tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    write_dataset([make_sample("a")], tmp_path / "empty")
    assert (tmp_path / "empty/a/images/cam_000.png").exists()


def test_a_failure_leaves_nothing(tmp_path):
    good, bad = make_sample("a"), make_sample("b")
    bad = replace(bad, views=(replace(bad.views[0], mask=None),))
    with pytest.raises(DataError, match="sample b, view cam_000: expected a mask"):
        write_dataset([good, bad], tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "/abs", "a//b", "", "with space", "a/../b", ".hidden"])
def test_ids_must_name_folders(tmp_path, name):
    with pytest.raises(DataError, match="can name a folder"):
        write_dataset([replace(make_sample("a"), id=name)], tmp_path / "d")


def test_ids_once(tmp_path):
    with pytest.raises(DataError, match="sample a: expected every id once"):
        write_dataset([make_sample("a"), make_sample("a")], tmp_path / "d")


def test_provenance_must_be_plain(tmp_path):
    sample = replace(make_sample("a"), provenance=(Provenance("x", {"angle": float("nan")}),))
    with pytest.raises(DataError, match=r"provenance\.json: expected plain finite JSON values"):
        write_dataset([sample], tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_provenance_keeps_raw_cameras_and_orders_to_the_last_bit(tmp_path):
    pose = (
        (1.0, 0.0, 0.0, 0.1),
        (0.0, 1.0, 0.0, 1 / 3),
        (0.0, 0.0, 1.0, 2.7),
        (0.0, 0.0, 0.0, 1.0),
    )
    camera = RawCamera(
        pose, (1632.3, 1 / 7, 570.0, 505.0), 10, 20, "brown", (-0.3, 0.1, 0.0, 0.0), 2.0
    )
    steps = (
        Provenance("reader", raw_cameras=(camera,) * 3),
        Provenance("slots", order=(2, 0, 1), exact=False),
    )
    write_dataset([replace(make_sample("a"), provenance=steps)], tmp_path / "d")
    content = json.loads((tmp_path / "d/a/provenance.json").read_text())
    assert content["schema"] == 2
    first, second = content["steps"]
    assert first["raw_cameras"][2] == {
        "c2w": [list(row) for row in pose],
        "fxfycxcy": [1632.3, 1 / 7, 570.0, 505.0],
        "height": 10,
        "width": 20,
        "lens": "brown",
        "distortion": [-0.3, 0.1, 0.0, 0.0],
        "skew": 2.0,
    }
    assert (second["order"], second["exact"]) == ([2, 0, 1], False)


def test_fingerprint_ignores_order_and_sees_pixels():
    one, two = make_sample("a"), make_sample("bb")
    assert fingerprint([one, two]) == fingerprint([two, one])
    changed = one.views[0].rgb.copy()
    changed[0, 0, 0] ^= 1
    other = replace(one, views=(replace(one.views[0], rgb=changed), *one.views[1:]))
    assert fingerprint([other, two]) != fingerprint([one, two])
    assert fingerprint([replace(one, id="c"), two]) != fingerprint([one, two])
