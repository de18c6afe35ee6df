"""The history of a prepared dataset goes on where it is read again."""

import json
from pathlib import Path

import numpy as np
import pytest
from facelift_folders import SIZE, make_folder, make_sample, read

from mfl_adapt.cameras import facelift_ring, history
from mfl_adapt.data import write_dataset
from mfl_adapt.errors import DataError
from mfl_adapt.images import RawView, begin_sample, save_picture, warp_sample
from mfl_adapt.types import RawCamera, Sample, Similarity


def begin_raw(path: Path) -> Sample:
    """A recording of three bent views, turned, reordered and resized, then written and gone."""
    rng = np.random.default_rng(5)
    rig = facelift_ring(3, size=SIZE)
    views = [
        RawView(
            f"cam{index}",
            rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
            np.full((SIZE, SIZE), 255, np.uint8),
            RawCamera(
                tuple(tuple(row) for row in rig.c2w[index].tolist()),
                tuple(rig.fxfycxcy[index].tolist()),
                SIZE,
                SIZE,
                "brown",
                (-0.2, 0.05, 0.001, -0.002),
            ),
        )
        for index in range(3)
    ]
    sample = begin_sample("a", views, step="raw.reader", params={})
    world = Similarity(0.5, ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), (1.0, 2.0, 3.0))
    shrink = [np.diag([0.75, 0.75, 1.0])] * 3
    sample = warp_sample(
        sample,
        step="slots",
        params={},
        order=[2, 0, 1],
        world=world,
        pixel_maps=shrink,
        sizes=[(18, 18)] * 3,
    )
    write_dataset([sample], path)
    return sample


def test_the_history_of_the_true_recording_goes_on(tmp_path):
    written = begin_raw(tmp_path / "d")
    sample = read(tmp_path / "d")[0]
    assert sample.provenance[:-1] == written.provenance
    last = sample.provenance[-1]
    assert (last.step, last.raw_cameras, last.order) == ("facelift_reader.gslrm", (), ())
    assert (history.round_trip_px(sample) < 1e-6).all()
    chosen = read(tmp_path / "d", views=["cam1", 0])[0]
    assert chosen.provenance[-1].order == (2, 0)
    assert [history.raw_view(view, chosen.provenance) for view in (0, 1)] == [1, 2]
    assert (history.round_trip_px(chosen) < 1e-6).all()


def test_pictures_resized_behind_the_datasets_back_stay_traceable(tmp_path, caplog):
    begin_raw(tmp_path / "d")
    for file in (tmp_path / "d/a/images").iterdir():
        save_picture(file, np.zeros((36, 36, 3), np.uint8), np.zeros((36, 36), np.uint8))
    sample = read(tmp_path / "d")[0]
    assert "intrinsics of 3 views were rescaled" in caplog.text
    assert sample.provenance[-1].pixel_maps[0][0][0] == 2.0
    assert (history.round_trip_px(sample) < 1e-6).all()


def test_a_first_reading_begins_the_history(tmp_path):
    sample = read(make_folder(tmp_path / "s", 4), views=[3, 1])[0]
    (step,) = sample.provenance
    assert len(step.raw_cameras) == 2
    assert np.array_equal(np.array(step.raw_cameras[0].c2w), sample.views[0].c2w)
    assert step.raw_cameras[0].fxfycxcy == tuple(sample.views[0].fxfycxcy.tolist())
    assert (history.round_trip_px(sample) < 1e-9).all()


def test_histories_of_the_first_schema_are_read(tmp_path):
    write_dataset([make_sample("a")], tmp_path / "d")
    file = tmp_path / "d/a/provenance.json"
    content = json.loads(file.read_text())
    for step in content["steps"]:
        for key in ("order", "raw_cameras", "exact"):
            del step[key]
    file.write_text(json.dumps({"schema": 1, "steps": content["steps"]}))
    assert read(tmp_path / "d")[0].provenance[:-1] == make_sample("a").provenance
    with pytest.raises(DataError, match="names the raw cameras, got raw, x, facelift_reader"):
        history.round_trip_px(read(tmp_path / "d")[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(schema=3), "schema 2 or older, got 3"),
        (lambda c: c["steps"][1]["pixel_maps"].pop(), "pixel maps of 3 views in step slots, got 2"),
        (lambda c: c["steps"][1]["order"].pop(), "an order of 3 views in step slots, got 2"),
        (lambda c: c["steps"][1].update(order=[0, 1, 1]), r"different views .*, got \[0, 1, 1\]"),
        (lambda c: c["steps"][1].update(order=[0, 1, 5]), "raw cameras of 6 views in .*, got 3"),
        (lambda c: c["steps"][0]["raw_cameras"][0].pop("lens"), "KeyError 'lens'"),
        (
            lambda c: c["steps"][0]["raw_cameras"][0].update(c2w=[[1.0]]),
            "expected steps .*ValueError",
        ),
        (lambda c: c.update(steps=[{"step": "x"}]), "expected steps .* KeyError 'world'"),
        (lambda c: c.pop("steps"), "KeyError 'steps'"),
    ],
)
def test_broken_histories_are_refused(tmp_path, change, words):
    begin_raw(tmp_path / "d")
    file = tmp_path / "d/a/provenance.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"provenance\.json: .*{words}"):
        read(tmp_path / "d")[0]
