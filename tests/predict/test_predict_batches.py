"""Batches: result folders, what is done again and what is not, and sequences."""

import json
from pathlib import Path

import numpy as np
import pytest
from stand_ins import GaussiansStandIn, ViewsStandIn, ball

from mfl_adapt.errors import DataError, StorageError
from mfl_adapt.images import load_picture, save_picture
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.plugin import ReaderSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.predict.background import choose_background
from mfl_adapt.predict.folder import Outputs, new_folder, read_record
from mfl_adapt.predict.framed import FramingSettings
from mfl_adapt.predict.inputs import find_inputs
from mfl_adapt.predict.predictor import Predictor, PredictSettings
from mfl_adapt.predict.preparation import Preparation
from mfl_adapt.predict.run import Batch
from mfl_adapt.render.ply import read_ply

PLAIN = Outputs(video=False, viewer=False)


@pytest.fixture(scope="module")
def host():
    return load_plugins(["exporters", "facelift_reader"])


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for index in range(3):
        rgb, mask = ball(center=(50.0 + 5 * index, 40.0))
        save_picture(folder / f"mouse {index}.png", rgb, mask)
    return folder


def run(host, paths, out, *, views_base=None, outputs=PLAIN, preparation=None, seed=4, **found):
    predictor = Predictor(
        views_base or ViewsStandIn(),
        GaussiansStandIn(),
        settings=PredictSettings(steps=2, seed=seed),
    )
    batch = Batch(predictor, host, out, preparation=preparation or Preparation(), outputs=outputs)
    return batch.run(find_inputs(paths, **found))


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_result_is_whole(host, pictures, tmp_path):
    outputs = Outputs(("ply", "splat"), frames=2)
    outcome = run(host, [pictures / "mouse 0.png"], tmp_path / "out", outputs=outputs)
    folder = tmp_path / "out" / "mouse_0"
    assert outcome.done == [folder]
    slots = ("back", "front", "front_left", "front_right", "left", "right")
    assert files(folder) == [
        "gaussians.ply",
        "gaussians.splat",
        "input.png",
        "prediction.json",
        "sheet.png",
        "turntable.mp4",
        "viewer.html",
        *(f"views/{name}.png" for name in slots[:5]),
        "views/opencv_cameras.json",
        "views/provenance.json",
        "views/right.png",
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mouse_0"]
    record = json.loads((folder / "prediction.json").read_text())
    assert record["files"] == [name for name in files(folder) if name != "prediction.json"]
    assert record["gaussians"] == {"made": 12, "kept": 6}
    assert record["views_base"]["sha256"] == "1" * 64
    assert record["settings"]["seed"] == 4
    assert read_ply(folder / "gaussians.ply").means.shape[-2:] == (6, 3)
    # The ball's middle, mapped into the picture that the model saw, is its middle there.
    mask = load_picture(folder / "input.png").mask
    rows, columns = np.nonzero(mask > 127)
    seen = np.array(record["pixel_map"]) @ [50.0, 40.0, 1.0]
    assert seen[:2] == pytest.approx([columns.mean() + 0.5, rows.mean() + 0.5], abs=0.5)


def test_a_result_reads_back_as_a_sample_of_the_slots(host, pictures, tmp_path):
    views_base = ViewsStandIn()
    run(host, [pictures / "mouse 0.png"], tmp_path / "out", views_base=views_base)
    path = tmp_path / "out" / "mouse_0" / "views"
    sample = host.build(ReaderSpec, "facelift_reader.gslrm", {"path": path})[0]
    assert [view.name for view in sample.views][:4] == ["front", "front_right", "right", "back"]
    assert np.array_equal(np.stack([view.rgb for view in sample.views]), views_base.views)
    centers = np.stack([view.c2w[:3, 3] for view in sample.views])
    azimuths = np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360
    assert azimuths == pytest.approx([270, 225, 180, 90, 0, 315], abs=1e-6)
    assert all(view.mask[0, 0] == 0 and view.mask[32, 32] == 255 for view in sample.views)
    assert [step.step for step in sample.provenance] == ["predict", "facelift_reader.gslrm"]


def test_what_is_finished_is_not_done_again(host, pictures, tmp_path):
    first = run(host, [pictures], tmp_path / "out")
    assert (len(first.done), len(first.skipped)) == (3, 0)
    views_base = ViewsStandIn()
    again = run(host, [pictures], tmp_path / "out", views_base=views_base)
    assert (len(again.done), len(again.skipped)) == (0, 3)
    assert views_base.seen == []
    assert "0 predicted, 3 unchanged" in again.lines()[-1]


def test_what_changed_is_done_again(host, pictures, tmp_path):
    out = tmp_path / "out"
    run(host, [pictures], out)
    rgb, mask = ball(center=(40.0, 40.0), radius=10.0)
    save_picture(pictures / "mouse 1.png", rgb, mask)
    (out / "mouse_2" / "sheet.png").unlink()
    assert run(host, [pictures], out).done == [out / "mouse_1", out / "mouse_2"]
    assert len(run(host, [pictures], out, seed=5).done) == 3
    wider = Preparation(framing=FramingSettings(share=0.1))
    assert len(run(host, [pictures], out, seed=5, preparation=wider).done) == 3
    assert sorted(path.name for path in out.iterdir()) == ["mouse_0", "mouse_1", "mouse_2"]


def test_one_bad_picture_does_not_stop_the_others(host, pictures, tmp_path):
    (pictures / "mouse 1.png").write_bytes(b"nothing")
    outcome = run(host, [pictures], tmp_path / "out")
    assert len(outcome.done) == 2
    assert [name for name, _ in outcome.failed] == ["mouse_1"]
    assert not (tmp_path / "out" / "mouse_1").exists()
    assert "expected a PNG or JPEG" in outcome.lines()[-1]
    with pytest.raises(DataError, match="expected a PNG or JPEG"):
        run(host, [pictures / "mouse 1.png"], tmp_path / "out")


def test_a_foreign_folder_is_left_alone(host, pictures, tmp_path):
    foreign = tmp_path / "out" / "mouse_0"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("years of work")
    views_base = ViewsStandIn()
    with pytest.raises(StorageError, match="an earlier result, got something else"):
        run(host, [pictures], tmp_path / "out", views_base=views_base)
    assert (foreign / "thesis.txt").read_text() == "years of work"
    assert views_base.seen == []


def interrupt(folder):
    with new_folder(folder) as partial:
        (partial / "gaussians.ply").write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_crash_leaves_the_earlier_result(host, pictures, tmp_path):
    out = tmp_path / "out"
    run(host, [pictures / "mouse 0.png"], out)
    before = (out / "mouse_0" / "prediction.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        interrupt(out / "mouse_0")
    assert (out / "mouse_0" / "prediction.json").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["mouse_0"]


def test_a_result_that_cannot_take_its_place_leaves_the_earlier_one(
    host, pictures, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    run(host, [pictures / "mouse 0.png"], out)
    before = (out / "mouse_0" / "prediction.json").read_bytes()
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(StorageError, match="expected to write a result, got No space"),
        new_folder(out / "mouse_0"),
    ):
        pass
    assert (out / "mouse_0" / "prediction.json").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["mouse_0"]


def test_steps_are_told_for_a_few_pictures_and_pictures_for_many(host, pictures, tmp_path):
    def told(paths):
        heard = []
        predictor = Predictor(ViewsStandIn(), GaussiansStandIn(), settings=PredictSettings(steps=2))
        batch = Batch(predictor, host, tmp_path / "out", preparation=Preparation(), outputs=PLAIN)
        batch.run(find_inputs(paths), lambda *step: heard.append(step))
        return heard

    alone = told([pictures / "mouse 0.png"])
    assert alone == [("views", 1, 2), ("views", 2, 2)]
    for index in range(3, 10):
        save_picture(pictures / f"mouse {index}.png", *ball())
    assert told([pictures]) == [("pictures", index + 1, 10) for index in range(10)]


def test_one_name_for_two(pictures, tmp_path):
    save_picture(tmp_path / "mouse_0.png", *ball())
    with pytest.raises(DataError, match="different names, got 'mouse_0' twice"):
        find_inputs([tmp_path / "mouse_0.png", pictures])


def test_paths_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="no such path"):
        find_inputs([tmp_path / "none.png"])
    (tmp_path / "notes.txt").write_text("a")
    with pytest.raises(DataError, match="none among its 1 files"):
        find_inputs([tmp_path])


def film(path, *, frames=6, mask=False):
    with Mp4Writer(path, fps=10.0, crf=0) as video:
        for index in range(frames):
            rgb, alpha = ball(radius=16.0 + 2 * (index % 2), center=(50.0 + index, 40.0))
            over = np.where(alpha[..., None] > 0, rgb, np.uint8(255))
            video.add(np.repeat(alpha[..., None], 3, axis=2) if mask else over)
    return path


def test_a_video_becomes_a_sequence_that_plays(host, tmp_path):
    path = film(tmp_path / "run 1.mp4")
    outcome = run(host, [path], tmp_path / "out", every=2)
    folder = tmp_path / "out" / "run_1"
    names = ["frame_000000", "frame_000002", "frame_000004"]
    assert [each.name for each in outcome.done] == names
    listed = json.loads((folder / "sequence.json").read_text())
    assert listed["fps"] == pytest.approx(5.0)
    assert [frame["name"] for frame in listed["frames"]] == names
    for frame in listed["frames"]:
        assert (folder / frame["folder"] / frame["ply"]).is_file()
    assert outcome.pages == [folder / "index.html"]
    assert (folder / "index.html").is_file()
    # Films of single frames would be of no use.
    assert not list(folder.rglob("turntable.mp4"))
    # Later frames alone: the others are there already.
    again = run(host, [path], tmp_path / "out", every=2)
    assert (len(again.done), len(again.skipped)) == (0, 3)


def test_the_subject_of_a_sequence_does_not_pulse(host, tmp_path):
    run(host, [film(tmp_path / "a.mp4")], tmp_path / "out")
    records = [read_record(path) for path in sorted((tmp_path / "out" / "a").glob("frame_*"))]
    scales = {record["pixel_map"][0][0] for record in records}
    assert len(records) == 6
    assert len(scales) == 1


def test_a_mask_video(host, tmp_path):
    path, mask = film(tmp_path / "a.mp4"), film(tmp_path / "m.mp4", mask=True)
    background = choose_background(str(mask))
    outcome = run(
        host, [path], tmp_path / "out", limit=2, preparation=Preparation(background=background)
    )
    assert len(outcome.done) == 2
    save_picture(tmp_path / "still.png", *ball())
    still = Preparation(background=choose_background(str(tmp_path / "still.png")))
    with pytest.raises(DataError, match="expected a mask video"):
        run(host, [path], tmp_path / "other", limit=1, preparation=still)


def test_a_folder_of_frames_plays_at_a_given_rate(host, pictures, tmp_path):
    outcome = run(host, [pictures], tmp_path / "out", fps=12.0)
    assert outcome.pages == [tmp_path / "out" / "pictures" / "index.html"]
    listed = json.loads((tmp_path / "out" / "pictures" / "sequence.json").read_text())
    assert listed["fps"] == 12.0
    assert [frame["folder"] for frame in listed["frames"]] == ["mouse_0", "mouse_1", "mouse_2"]


def test_several_subjects_and_the_largest(host, tmp_path):
    rgb, mask = ball()
    _, second = ball(center=(20.0, 60.0), radius=12.0)
    save_picture(tmp_path / "two.png", rgb, np.maximum(mask, second))
    with pytest.raises(DataError, match="expected one subject, got 2"):
        run(host, [tmp_path / "two.png"], tmp_path / "out")
    outcome = run(
        host, [tmp_path / "two.png"], tmp_path / "out", preparation=Preparation(largest=True)
    )
    assert outcome.done == [Path(tmp_path / "out" / "two")]
