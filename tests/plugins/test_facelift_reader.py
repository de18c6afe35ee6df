"""The reader of FaceLift's layout: goldens, round trip, and one clear line per broken input."""

import copy
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from facelift_folders import SIZE, make_folder, make_sample, read
from helpers import shared_path
from mfl_adapt_facelift_reader.config import GslrmReaderConfig
from mfl_adapt_facelift_reader.discover import can_read
from mfl_adapt_facelift_reader.reader import GslrmReader

from mfl_adapt.cameras import facelift_ring, history, look_at, look_at_map
from mfl_adapt.data import fingerprint, write_dataset
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import save_picture, warp_sample
from mfl_adapt.plugin import ReaderSpec
from mfl_adapt.plugin.registry import load_plugins


def test_reads_a_sample_folder(tmp_path):
    reader = read(make_folder(tmp_path / "rat_07"))
    assert len(reader) == 1
    sample = reader[0]
    assert sample.id == "rat_07"
    assert [view.name for view in sample.views] == ["cam_000", "cam_001", "cam_002"]
    assert (sample.views[0].mask == 200).all()
    expected = facelift_ring(3, size=SIZE)
    np.testing.assert_allclose(sample.cameras.c2w, expected.c2w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(sample.cameras.fxfycxcy, expected.fxfycxcy, rtol=1e-15)
    assert [step.step for step in sample.provenance] == ["facelift_reader.gslrm"]
    assert sample.views[1].source.endswith("rat_07/images/cam_001.png")


def test_reads_folders_sorted_and_lists_in_their_order(tmp_path):
    for name in ("b", "a", "c"):
        make_folder(tmp_path / name, 1)
    assert [sample.id for sample in read(tmp_path)] == ["a", "b", "c"]
    lines = f"\nc\n\n  a  \n{tmp_path / 'b'}\n"
    (tmp_path / "list.txt").write_text(lines)
    assert [sample.id for sample in read(tmp_path / "list.txt")] == ["c", "a", "b"]


def test_list_entries_are_relative_to_the_list(tmp_path, monkeypatch):
    make_folder(tmp_path / "data" / "s", 1)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "l.txt").write_text("../data/s\n")
    monkeypatch.chdir(lists)
    assert [sample.id for sample in read(Path("l.txt"))] == ["s"]
    monkeypatch.chdir(tmp_path)
    assert [sample.id for sample in read(lists / "l.txt")] == ["s"]


def test_samples_of_one_name_in_two_folders_stay_apart(tmp_path):
    for day in ("mon", "tue"):
        make_folder(tmp_path / day / "s", 1)
    (tmp_path / "l.txt").write_text("mon/s\ntue/s\n")
    assert [sample.id for sample in read(tmp_path / "l.txt")] == ["mon/s", "tue/s"]


def test_can_read(tmp_path):
    make_folder(tmp_path / "set" / "s", 1)
    (tmp_path / "set/l.txt").write_text("s\n")
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "none").mkdir()
    # A list from elsewhere is one too: reading it tells which paths do not exist.
    (tmp_path / "stale.txt").write_text("/mnt/ssd/set/s1\n\n/mnt/ssd/set/s2\n")
    (tmp_path / "prose.txt").write_text("either / or\n")
    known = [tmp_path / name for name in ("set", "set/s", "set/l.txt", "stale.txt")]
    unknown = ["notes.txt", "prose.txt", "binary", "none", "missing", "set/s/opencv_cameras.json"]
    assert [can_read(path) for path in known] == [True] * 4
    assert [can_read(tmp_path / name) for name in unknown] == [False] * 6


def test_view_choice(tmp_path):
    folder = make_folder(tmp_path / "s", 4)
    names = [view.name for view in read(folder, views=[3, "cam_001"])[0].views]
    assert names == ["cam_003", "cam_001"]
    with pytest.raises(DataError, match=r"got 'cam_01'\. Did you mean 'cam_0"):
        read(folder, views=["cam_01"])[0]
    with pytest.raises(DataError, match="view indices from 0 to 3, got 4"):
        read(folder, views=[4])[0]
    with pytest.raises(DataError, match="every view once, got 'cam_001' twice"):
        read(folder, views=["cam_001", 1])[0]


def test_masks(tmp_path):
    folder = make_folder(tmp_path / "s", 1)
    assert read(folder, mask="none")[0].views[0].mask is None
    save_picture(folder / "images/cam_000.png", np.zeros((SIZE, SIZE, 3), np.uint8))
    assert read(folder, mask="none")[0].views[0].mask is None
    with pytest.raises(DataError, match=r"cam_000\.png: expected an alpha .* preprocess\.auto_"):
        read(folder)[0]


def test_intrinsics_follow_the_picture_size(tmp_path, caplog):
    def double(content):
        for key in ("w", "h", "fx", "fy", "cx", "cy"):
            content["frames"][0][key] *= 2

    folder = make_folder(tmp_path / "s", 2, double)
    with caplog.at_level(logging.WARNING):
        sample = read(folder)[0]
    np.testing.assert_allclose(sample.views[0].fxfycxcy, sample.views[1].fxfycxcy, rtol=1e-14)
    assert sample.provenance[-1].params["rescaled_views"] == ["cam_000"]
    assert "intrinsics of 1 views were rescaled" in caplog.text


def test_size_keys_may_be_absent_as_upstream_does_not_read_them(tmp_path):
    def drop(content):
        del content["frames"][0]["w"], content["frames"][0]["h"]

    assert read(make_folder(tmp_path / "s", 1, drop))[0].views[0].fxfycxcy[2] == SIZE / 2


def set_key(key, value):
    return lambda content: content["frames"][1].__setitem__(key, value)


def scale_rotation(factor):
    def edit(content):
        rows = content["frames"][1]["w2c"]
        for row in rows[:1] if factor < 0 else rows[:3]:
            row[:3] = [factor * value for value in row[:3]]

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_key("fx", float("nan")), r"frames\[1\]\.fx: expected a finite number .* got nan"),
        (set_key("cx", float("inf")), r"frames\[1\]\.cx: expected a finite number .* got inf"),
        (set_key("fy", "549"), r"frames\[1\]\.fy: expected a finite number .* got '549'"),
        (set_key("fx", -5), r"frames\[1\]\.fx: expected a positive focal length, got -5"),
        (set_key("w", 2.5), r"expected w and h as whole numbers"),
        (set_key("h", 48), r"cam_001\.png: expected the aspect .* 24 x 48, got 24 x 24"),
        (set_key("w2c", [[1, 0], [0, 1]]), r"frames\[1\]\.w2c: expected 4 rows of 4 numbers"),
        (set_key("w2c", "identity"), r"frames\[1\]\.w2c: expected 4 rows of 4 numbers"),
        (scale_rotation(0.008), r"frames\[1\]\.w2c: expected a rotation .* scale belongs into t"),
        (scale_rotation(-1), r"frames\[1\]\.w2c: expected a rotation with det \+1, got det -1"),
        (
            set_key("file_path", "images/cam_000.png"),
            r"every file_path once.* and frames\[1\]",
        ),
        (set_key("view_name", "cam_002"), r"every view name once, got cam_002"),
        (set_key("file_path", "images/gone.png"), r"gone\.png: expected a PNG .* No such file"),
        (set_key("file_path", 7), r"frames\[1\]\.file_path: expected a path, got 7"),
        (lambda c: c["frames"][1].pop("w2c"), r"frames\[1\]: expected key 'w2c', got only cx"),
        (lambda c: c["frames"].__setitem__(1, 3), r"frames\[1\]: expected a mapping, got 3"),
        (lambda c: c.pop("frames"), r"opencv_cameras\.json: expected a list of cameras"),
        (lambda c: c.__setitem__("time_s", "late"), r"expected seconds under 'time_s', got 'late'"),
        (lambda c: c.__setitem__("animal", 7), r"expected text under 'animal', got 7"),
    ],
)
def test_broken_camera_files(tmp_path, edit, message):
    reader = read(make_folder(tmp_path / "bad", edit=edit))
    with pytest.raises(DataError, match=message) as caught:
        reader[0]
    assert "\n" not in str(caught.value)
    assert "bad" in str(caught.value)


def test_a_nan_pose(tmp_path):
    def edit(content):
        content["frames"][0]["w2c"] = copy.deepcopy(content["frames"][0]["w2c"])
        content["frames"][0]["w2c"][0][3] = float("nan")

    with pytest.raises(DataError, match=r"frames\[0\]\.w2c: expected finite numbers"):
        read(make_folder(tmp_path / "s", edit=edit))[0]


def test_malformed_json_names_the_line(tmp_path):
    folder = make_folder(tmp_path / "s", 1)
    (folder / "opencv_cameras.json").write_text('{\n "frames": [\n}\n')
    with pytest.raises(DataError, match=r"opencv_cameras\.json:3: expected JSON, got"):
        read(folder)[0]


def test_truncated_and_empty_pictures(tmp_path):
    folder = make_folder(tmp_path / "s", 1)
    picture = folder / "images/cam_000.png"
    picture.write_bytes(picture.read_bytes()[:400])
    with pytest.raises(DataError, match=r"cam_000\.png: expected a whole PNG .* truncated"):
        read(folder)[0]
    picture.write_bytes(b"")
    with pytest.raises(DataError, match=r"cam_000\.png: .* got an empty file"):
        read(folder)[0]


def test_broken_paths_and_lists(tmp_path):
    with pytest.raises(DataError, match="nowhere: expected a dataset, got no such path"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected sample folders that hold"):
        read(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.path, got none"):
        GslrmReader(GslrmReaderConfig())
    make_folder(tmp_path / "s", 1)
    path = tmp_path / "l.txt"
    path.write_text("s\n\n/mnt/localssd/s\n")
    with pytest.raises(DataError, match=r"l\.txt:3: expected a sample folder, got /mnt/localssd/s"):
        read(path)
    path.write_text("s\n./s\n")
    with pytest.raises(DataError, match=r"l\.txt:2: .* got s again after line 1"):
        read(path)
    path.write_text("\n")
    with pytest.raises(DataError, match="got an empty list"):
        read(path)
    path.write_text("{" * 5000)
    with pytest.raises(DataError, match=r"l\.txt:1: expected a sample folder, got"):
        read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="expected a text file"):
        read(path)


def test_written_datasets_come_back(tmp_path):
    samples = [make_sample("b/one"), make_sample("a")]
    write_dataset(samples, tmp_path / "data")
    for path in (tmp_path / "data", tmp_path / "data/data_all.txt"):
        again = list(read(path))
        assert [sample.id for sample in again] == ["b/one", "a"]
        for old, new in zip(samples, again, strict=True):
            assert (new.session, new.animal, new.time_s) == ("s1", "m1", 2.5)
            assert new.provenance[:-1] == old.provenance
            for before, after in zip(old.views, new.views, strict=True):
                assert after.name == before.name
                assert np.array_equal(after.rgb, before.rgb)
                assert np.array_equal(after.mask, before.mask)
                np.testing.assert_allclose(after.c2w, before.c2w, rtol=0, atol=1e-9)
                np.testing.assert_allclose(after.fxfycxcy, before.fxfycxcy, rtol=0, atol=1e-9)


def test_16_bits_are_kept_where_asked_for(tmp_path):
    folder = make_folder(tmp_path / "s", 1)
    deep = np.random.default_rng(0).integers(0, 65536, (SIZE, SIZE, 3), dtype=np.uint16)
    save_picture(folder / "images/cam_000.png", deep, np.full((SIZE, SIZE), 255, np.uint8))
    assert np.array_equal(read(folder, bits=16)[0].views[0].rgb, deep)
    assert read(folder)[0].views[0].rgb.dtype == np.uint8


def test_dataset_summary_must_list_names(tmp_path):
    write_dataset([make_sample("a")], tmp_path / "data")
    for content in ('{"samples": 3}', '{"samples": ["a", "a"]}', "[]"):
        (tmp_path / "data/dataset.json").write_text(content)
        with pytest.raises(DataError, match=r"dataset\.json: expected"):
            read(tmp_path / "data")


def test_as_a_plugin(tmp_path):
    make_folder(tmp_path / "s", 1)
    host = load_plugins(["facelift_reader"])
    assert [found.name for found in host.readers_for(tmp_path)] == ["facelift_reader.gslrm"]
    reader = host.build(ReaderSpec, "facelift_reader", {"path": tmp_path, "views": [0]})
    assert [sample.id for sample in reader] == ["s"]
    with pytest.raises(ConfigError, match="unknown key 'veiws'"):
        host.build(ReaderSpec, "facelift_reader", {"path": tmp_path, "veiws": [0]})


@pytest.mark.golden
def test_the_published_sample():
    reader = read(shared_path("data/facelift_gslrm_sample"), views=[0, 8, 31])
    sample = reader[0]
    centers = sample.cameras.centers
    distances = np.linalg.norm(centers, axis=1)
    elevations = np.degrees(np.arcsin(centers[:, 2] / distances))
    azimuths = np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360
    np.testing.assert_allclose(elevations, 20.0, rtol=0, atol=0.01)
    np.testing.assert_allclose(distances, 2.7, rtol=0, atol=1e-5)
    np.testing.assert_allclose(azimuths, [0.0, 90.0, 348.75], rtol=0, atol=1e-3)
    expected = np.tile([548.9937744140625, 548.9937744140625, 256.0, 256.0], (3, 1))
    assert np.array_equal(sample.cameras.fxfycxcy, expected)
    assert all(view.mask is not None and view.rgb.shape == (512, 512, 3) for view in sample.views)


@pytest.mark.golden
def test_the_published_sample_survives_the_writer(tmp_path):
    sample = read(shared_path("data/facelift_gslrm_sample"), views=[3])[0]
    write_dataset([sample], tmp_path / "d")
    again = read(tmp_path / "d")[0]
    assert np.array_equal(again.views[0].rgb, sample.views[0].rgb)
    np.testing.assert_allclose(again.views[0].c2w, sample.views[0].c2w, rtol=0, atol=1e-9)
    summary = json.loads((tmp_path / "d/dataset.json").read_text())
    assert summary["fingerprint"] == fingerprint([sample])


@pytest.mark.golden
def test_cameras_of_the_published_sample_can_be_turned():
    # Its rotations are rounded to float32, which must not look like a shear.
    sample = read(shared_path("data/facelift_gslrm_sample"), views=[0, 5])[0]
    maps = []
    for view in sample.views:
        aimed = look_at(view.c2w[:3, 3], [0.1, 0.2, -0.1])
        maps.append(look_at_map(view.c2w, view.fxfycxcy, aimed, view.fxfycxcy))
    turned = warp_sample(sample, step="aim", params={}, pixel_maps=maps)
    assert (history.round_trip_px(turned) < 1e-6).all()
    assert (history.round_trip_px(sample) < 1e-6).all()
