"""Datasets that are missing, broken or too small: one line that names the file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_input import SPLIT, call, edit_json, refuse, sets, train

from mfl_adapt.data import write_dataset
from mfl_adapt.images import save_picture
from mfl_adapt.synth import render_sample
from mfl_adapt.types import View

FIRST = "mice-train-0-000000"
PICTURE = f"bad/{FIRST}/images/cam_001.png"
CAMERAS = f"bad/{FIRST}/opencv_cameras.json"


@pytest.fixture
def bad(empty_folder, mice) -> Path:
    """A copy of a good dataset, to be spoilt."""
    return shutil.copytree(mice, empty_folder / "bad")


def first(**changes):
    """An edit of the second camera of a camera file."""
    return lambda content: content["frames"][1].update(changes)


def test_missing_path(empty_folder):
    message = refuse(*train(data="nowhere"))
    assert message == "data.path: expected an existing file or folder, got nowhere. Check the path."


def test_paths_that_no_reader_knows(empty_folder):
    Path("empty").mkdir()
    Path("notes.txt").write_text("hello\n")
    Path("video.mp4").write_bytes(bytes(range(256)))
    for path in ("empty", "notes.txt", "video.mp4"):
        message = refuse(*train(data=path))
        assert f"expected one active reader that knows {path}, got none." in message
        assert "readers of files: anipose.videos, colmap.sparse, facelift_reader.gslrm," in message
        assert "Name one with" in message


def test_the_named_reader_says_what_is_missing(empty_folder):
    Path("empty").mkdir()
    message = refuse(*train("data.reader=facelift_reader", data="empty"))
    assert message.startswith("empty: expected sample folders that hold opencv_cameras.json")


def test_truncated_picture(bad):
    path = Path(PICTURE)
    path.write_bytes(path.read_bytes()[:500])
    assert refuse(*train(data="bad")).startswith(f"{PICTURE}: expected a whole PNG up to its end")


def test_missing_picture(bad):
    Path(PICTURE).unlink()
    assert refuse(*train(data="bad")).startswith(f"{PICTURE}: expected a PNG or JPEG file, got No")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (first(fx=float("nan")), f"{CAMERAS}: frames[1].fx: expected a finite number of pixels"),
        (first(w2c=[[float("nan")] * 4] * 4), f"{CAMERAS}: frames[1].w2c: expected finite numbers"),
        (first(file_path="images/cam_000.png"), f"{CAMERAS}: expected every file_path once"),
        (lambda content: content.update(frames=[]), f"{CAMERAS}: expected a list of cameras"),
    ],
)
def test_broken_camera_file(bad, edit, message):
    edit_json(Path(CAMERAS), edit)
    assert refuse(*train(data="bad")).startswith(message)


def test_malformed_json(bad):
    Path(CAMERAS).write_text('{\n"frames": [\n')
    assert refuse(*train(data="bad")).startswith(f"{CAMERAS}:3: expected JSON, got")


def test_picture_without_a_mask(bad):
    save_picture(Path(PICTURE), np.zeros((64, 64, 3), np.uint8))
    message = refuse(*train(data="bad"))
    assert message.startswith(f"{PICTURE}: expected an alpha channel that holds the mask")


def test_picture_that_is_not_square(bad):
    save_picture(Path(PICTURE), np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 255, np.uint8))
    edit_json(Path(CAMERAS), first(h=48))
    message = refuse(*train(data="bad"))
    assert message.startswith(f"{PICTURE}: expected a square picture, got [48, 64].")


def test_fewer_views_than_asked_for(bad):
    message = refuse(*train("data.views.inputs=6", data="bad"))
    said = "view_policies.held_out: expected at least 7 views, got 6"
    assert message.startswith(f"sample {FIRST}: {said}")


def test_one_sample_with_fewer_views_stops_before_training(bad):
    """It may not wait for the step that happens to draw the sample."""
    second = "mice-train-0-000001"
    path = Path("bad") / second / "opencv_cameras.json"
    edit_json(path, lambda content: content.update(frames=content["frames"][:3]))
    edit_json(path.with_name("provenance.json"), lambda content: content.update(steps=[]))
    message = refuse(*train(data="bad"))
    said = "view_policies.held_out: expected at least 5 views, got 3"
    assert message.startswith(f"sample {second}: {said}")


def test_list_that_names_a_missing_folder(bad):
    Path("list.txt").write_text(f"bad/{FIRST}\nbad/gone\n")
    message = refuse(*train(data="list.txt"))
    assert message.startswith("list.txt:2: expected a sample folder, got bad/gone")


def flipped_axes(folder: Path) -> None:
    """Write a dataset in OpenGL's axes, which breaks a law of every base."""
    sample = render_sample("mice", 0, size=64, num_views=6)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    views = tuple(
        View(one.name, one.rgb, one.mask, one.c2w @ flip, one.fxfycxcy) for one in sample.views
    )
    write_dataset([type(sample)("flipped", views)], folder)


def test_a_broken_law_stops_training(empty_folder):
    flipped_axes(Path("gl"))
    message = refuse(*train(data="gl"))
    assert message.startswith("doctor: expected no broken law, got MFL")
    assert "flipped" in message


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("gl", 1)])
def test_doctor_prints_json_and_nothing_else(empty_folder, mice, name, code):
    flipped_axes(Path("gl"))
    path = mice if name == "good" else Path("gl")
    result = call("doctor", "--data", str(path), "--json", *sets(*SPLIT))
    assert (result.exit_code, result.stderr) == (code, "")
    report = json.loads(result.stdout)
    assert report["passed"] is (code == 0)
    assert any(row["severity"] == "law" for row in report["findings"]) is (code == 1)
