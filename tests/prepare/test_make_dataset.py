"""Whole preparations: the same bytes whoever makes them, continued, refused and complete."""

import json
import os
import shutil
from pathlib import Path

import pytest
from small_job import run, tree

from mfl_adapt.chain import open_chain
from mfl_adapt.config import load_config
from mfl_adapt.data import fingerprint
from mfl_adapt.errors import ConfigError, DataError, StorageError
from mfl_adapt.plugin.registry import load_plugins


@pytest.fixture
def copy(recording, tmp_path) -> Path:
    return shutil.copytree(recording, tmp_path / "recording")


def pictures(folder: Path) -> list[str]:
    return sorted(path.parent.parent.name for path in folder.glob("*/images/cam_000.png"))


def read_back(folder: Path):
    loaded = load_config(None, overrides=[f"data.path={folder}"])
    return list(open_chain(loaded.config, load_plugins(loaded.config.plugins)))


def test_a_dataset_and_its_lists(recording, tmp_path):
    result, steps = run(recording, tmp_path / "out")
    assert (result.samples, result.made, result.skipped) == (12, 12, ())
    assert steps[0] == (0, 12)
    assert steps[-1] == (12, 12)
    assert pictures(tmp_path / "out") == [f"frame-{index:02d}" for index in range(12)]
    summary = json.loads((tmp_path / "out/dataset.json").read_text())
    assert summary["reader"] == "facelift_reader.gslrm"
    assert summary["sessions"] == ["day 0", "day 1"]
    assert summary["split"] == {
        "by": "order",
        "validation": 0.1,
        "gap": 0.05,
        "leave_out": [],
    }
    held = (tmp_path / "out/data_val.txt").read_text().split()
    train = (tmp_path / "out/data_train.txt").read_text().split()
    # Of twelve, one is a tenth, and one more lies in the gap.
    assert (len(train), held) == (10, ["frame-11"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_is_read_back_is_what_the_fingerprint_says(recording, tmp_path):
    run(recording, tmp_path / "out")
    samples = read_back(tmp_path / "out")
    assert {view.rgb.shape for sample in samples for view in sample.views} == {(16, 16, 3)}
    assert [step.step for step in samples[0].provenance] == [
        "facelift_reader.gslrm",
        "conform",
        "facelift_reader.gslrm",
    ]
    # Cameras pass through world-to-camera matrices in the file, so only pixels are equal in bits.
    mark = json.loads((tmp_path / "out/frame-00/provenance.json").read_text())["prepared"]
    assert mark["digest"] == samples[0].provenance[1].digest
    assert mark["index"] == 0
    assert len(fingerprint(samples)) == 64


def test_workers_change_nothing(recording, tmp_path):
    run(recording, tmp_path / "here", workers=0)
    result, _ = run(recording, tmp_path / "two", workers=2)
    assert result.made == 12
    assert tree(tmp_path / "here") == tree(tmp_path / "two")


def test_convert_keeps_pictures_and_size(recording, tmp_path):
    result, _ = run(recording, tmp_path / "out", kind="convert", size="null")
    assert result.split is None
    names = [name for name in tree(recording) if name.endswith(".png")]
    samples, before = read_back(tmp_path / "out"), read_back(recording)
    assert len(names) == 36
    for one, other in zip(samples, before, strict=True):
        for view, was in zip(one.views, other.views, strict=True):
            assert (view.rgb == was.rgb).all()
            assert (view.mask == was.mask).all()
            assert (view.fxfycxcy == was.fxfycxcy).all()
    assert (tmp_path / "out/data_all.txt").read_text().split() == [s.id for s in samples]


def test_convert_refuses_what_would_move_pixels(recording, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.size: expected nothing here, as convert"):
        run(recording, tmp_path / "out", kind="convert")
    assert list(tmp_path.iterdir()) == []


def test_convert_refuses_a_stage_that_moves_pixels(recording, tmp_path):
    loaded = ("data.preprocess=[{use: preprocess.com_center}]",)
    with pytest.raises(DataError, match=r"expected steps that move nothing in data convert, got"):
        run(
            recording,
            tmp_path / "out",
            kind="convert",
            size="null",
            more=loaded,
            plugin="preprocess",
        )


def test_normalize_leaves_the_size_and_writes_one_list(recording, tmp_path):
    result, _ = run(recording, tmp_path / "out", kind="normalize", size="null")
    assert result.split is None
    assert read_back(tmp_path / "out")[0].views[0].rgb.shape == (24, 24, 3)
    with pytest.raises(ConfigError, match="as normalize does not use it"):
        run(recording, tmp_path / "two", kind="normalize")


def test_a_finished_dataset_is_left_alone(recording, tmp_path):
    run(recording, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    result, _ = run(recording, tmp_path / "out")
    assert (result.samples, result.made) == (12, 0)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


@pytest.mark.parametrize("folder", ["out", "file"])
def test_a_folder_in_use_is_refused(recording, tmp_path, folder):
    if folder == "out":
        run(recording, tmp_path / "out")
    else:
        (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match=f"{folder}: expected a new or empty folder"):
        run(recording, tmp_path / folder, size=8)


def test_an_empty_folder_is_taken(recording, tmp_path):
    (tmp_path / "out").mkdir()
    run(recording, tmp_path / "out")
    assert len(pictures(tmp_path / "out")) == 12


def spoil(copy: Path, index: int) -> Path:
    path = copy / f"frame-{index:02d}/images/cam_001.png"
    path.write_bytes(path.read_bytes()[:200])
    return path


def test_the_first_bad_sample_stops_and_the_good_ones_are_kept(copy, tmp_path):
    bad = spoil(copy, 7)
    whole = bad.read_bytes()
    with pytest.raises(DataError, match=r"frame-07/images/cam_001\.png: expected a whole PNG"):
        run(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept = pictures(tmp_path / ".out.partial")
    assert "frame-06" in kept
    assert "frame-07" not in kept
    assert bad.read_bytes() == whole


def test_bad_samples_may_be_left_out_and_are_counted(copy, tmp_path, caplog):
    spoil(copy, 3)
    spoil(copy, 9)
    with pytest.raises(DataError, match=r"2 bad samples of 12, more than --skip-bad 1\. The first"):
        run(copy, tmp_path / "few", skip_bad=1)
    result, _ = run(copy, tmp_path / "out", skip_bad=2)
    assert (result.samples, len(result.skipped)) == (10, 2)
    assert "frame-03" not in pictures(tmp_path / "out")
    summary = json.loads((tmp_path / "out/dataset.json").read_text())
    assert [one["number"] for one in summary["skipped"]] == [4, 10]
    assert "frame-03" not in summary["samples"]
    assert "left out sample 4 of 12" in caplog.text


def begun(copy, tmp_path) -> Path:
    """Leave a preparation that a bad sample stopped."""
    bad = copy / "frame-11/images/cam_000.png"
    good = bad.read_bytes()
    spoiled = copy / "frame-11/images/cam_001.png"
    rest = spoiled.read_bytes()
    spoiled.write_bytes(rest[:200])
    with pytest.raises(DataError):
        run(copy, tmp_path / "out", more=("data.limit=12",))
    spoiled.write_bytes(rest)
    assert good == bad.read_bytes()
    return tmp_path / ".out.partial"


def test_other_settings_are_refused_by_name(copy, tmp_path):
    begun(copy, tmp_path)
    with pytest.raises(StorageError, match=r"other settings or data: conform\.size was 16, now 8"):
        run(copy, tmp_path / "out", size=8)


def test_changed_data_are_refused(copy, tmp_path):
    """Mending the bad picture changes the data, so what was made before no longer counts."""
    begun(copy, tmp_path)
    with pytest.raises(StorageError, match=r"source\.(size|sha256) (was|has changed)"):
        run(copy, tmp_path / "out", more=("data.limit=12",))


def test_what_failed_before_its_first_sample_can_be_begun_anew(copy, tmp_path):
    """Nothing was made, so other settings and mended data have nothing to contradict."""
    bad = spoil(copy, 0)
    whole = (copy / "frame-01/images/cam_001.png").read_bytes()
    with pytest.raises(DataError, match="frame-00"):
        run(copy, tmp_path / "out", more=("data.limit=1",))
    plan = json.loads((tmp_path / ".out.partial/prepared.json").read_text())["plan"]
    assert pictures(tmp_path / ".out.partial") == []
    bad.write_bytes(whole)
    result, _ = run(copy, tmp_path / "out", size=8, more=("data.limit=3",))
    assert result.samples == 3
    assert json.loads((tmp_path / "out/prepared.json").read_text())["plan"] != plan
    assert not (tmp_path / ".out.partial").exists()


def test_two_at_once_are_refused(recording, tmp_path):
    import fcntl

    partial = tmp_path / ".out.partial"
    partial.mkdir()
    handle = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="expected to work here alone, got another process"):
            run(recording, tmp_path / "out")
    finally:
        os.close(handle)
    run(recording, tmp_path / "out")


def test_leftovers_without_a_mark_are_made_again(recording, tmp_path):
    """A machine that lost power may leave a sample whose files are empty."""
    run(recording, tmp_path / "whole")
    partial = tmp_path / ".out.partial"
    shutil.copytree(tmp_path / "whole", partial)
    (partial / "frame-02/opencv_cameras.json").write_bytes(b"")
    (partial / "frame-05/provenance.json").write_bytes(b"")
    result, _ = run(recording, tmp_path / "out")
    assert result.made == 2
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(recording, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="expected to make this folder"):
            run(recording, tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


def test_a_place_that_can_hold_no_folder(recording, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="expected to make this folder"):
        run(recording, tmp_path / "file/out")
