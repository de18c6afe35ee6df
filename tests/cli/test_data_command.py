"""``mfl-adapt data``: from a recording to a dataset folder, its grade, certificate and split."""

import json
import shutil
from pathlib import Path

import pytest
from bad_input import call, refuse, sets

from mfl_adapt.data import write_dataset
from mfl_adapt.images import load_picture
from mfl_adapt.synth import render_sample

SMALL = sets("base.id=facelift.tiny", "data.size=32")


@pytest.fixture(scope="module")
def mice(tmp_path_factory) -> Path:
    """Six mice in two sessions, seen by six cameras."""
    from dataclasses import replace

    folder = tmp_path_factory.mktemp("data") / "mice"
    samples = [render_sample("mice", index, size=48, num_views=6) for index in range(6)]
    write_dataset(
        [
            replace(one, session=f"day {index // 3}", animal=f"m{index // 3}", time_s=4.0 * index)
            for index, one in enumerate(samples)
        ],
        folder,
    )
    return folder


@pytest.fixture
def here(empty_folder, mice) -> Path:
    """The working directory with a copy of the mice."""
    shutil.copytree(mice, empty_folder / "mice")
    return empty_folder


def succeed(*arguments: str) -> str:
    result = call("data", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_inspect(here):
    text = succeed("inspect", "mice")
    assert "reader    facelift_reader.gslrm" in text
    assert "samples   6 (6 all read: " in text
    assert "sessions  day 0, day 1" in text
    assert "world z up; azimuth" in text
    assert text.count("48 x 48") == 6
    found = json.loads(succeed("inspect", "mice", "--json"))
    assert (found["samples"], found["bits"], len(found["cameras"])) == (6, 8, 6)
    # The synthetic ring stands 20 deg above the ground at FaceLift's distance.
    assert found["cameras"][0]["elevation_deg"] == pytest.approx(20)
    assert found["cameras"][0]["distance"] == pytest.approx(2.7)
    assert all(0.01 < row["mean"] < 0.2 for row in found["masks"])
    assert "opencv" in found["convention"].lower()


def test_convert_prepare_certify_split(here):
    text = succeed("convert", "mice", "-o", "raw", "--workers", "0")
    assert text.splitlines()[0] == "samples   6 (6 made now)"
    before = load_picture(next(Path("mice").glob("*/images/cam_003.png")))
    after = load_picture(next(Path("raw").glob("*/images/cam_003.png")))
    assert (before.rgb == after.rgb).all()
    text = succeed("prepare", "raw", "-o", "ready", *SMALL, "--workers", "0", "--certify", "2")
    assert "geometry  2 samples certified: " in text
    assert "split     4 train, 1 validate" in text
    assert json.loads(Path("ready/certificate.json").read_text())["samples"] == 2
    assert len(load_picture(next(Path("ready").glob("*/images/cam_000.png"))).rgb) == 32
    text = succeed("prepare", "raw", "-o", "ready", *SMALL, "--workers", "0")
    assert text.splitlines()[0] == "samples   6 (0 made now, 6 were there already)"
    result = call("data", "certify", "ready", "-o", "proof", "--samples", "2", *SMALL)
    assert result.exit_code in {0, 1}, result.output
    names = sorted(path.name for path in Path("proof").iterdir())
    assert [name.rpartition(".")[2] for name in names] == [
        "json",
        "png",
        "json",
        "png",
        "json",
        "txt",
    ]
    text = succeed("split", "ready", "--by", "session", "--validation", "0.5")
    assert text.splitlines()[0] == "split     3 train, 3 validate, 0 in the gap"
    assert "no near-duplicates across the split (3 x 3 samples compared)" in text
    summary = json.loads(Path("ready/dataset.json").read_text())
    assert Path("ready/data_val.txt").read_text().split() == summary["samples"][3:]
    assert summary["split"] == {"by": "session", "validation": 0.5, "gap": 0.05}


def test_a_config_file_names_the_data(here):
    Path("mouse.yaml").write_text(
        "extends: base\nbase: {id: facelift.tiny}\ndata: {path: mice, size: 16, limit: 4}\n"
    )
    text = succeed("prepare", "mouse.yaml", "-o", "ready", "--workers", "0", "--certify", "0")
    assert text.startswith("samples   4 (4 made now)")
    assert "geometry" not in text


def test_a_preset_takes_the_data_as_train_does(here):
    """The folder has the name of the preset, which a path alone would be taken for."""
    Path("mice").rename("facelift-sample")
    options = ("facelift-sample", "--data", "facelift-sample")
    assert "reader    facelift_reader" in succeed("inspect", *options)
    limit = sets("data.limit=3")
    text = succeed("convert", *options, "-o", "raw", "--workers", "0", *limit)
    assert text.startswith("samples   3 (3 made now)")
    succeed("prepare", *options, "-o", "ready", *SMALL, *limit, "--workers", "0", "--certify", "0")
    kept = json.loads(Path("ready/prepared.json").read_text())
    assert kept["reader"]["use"] == "facelift_reader.gslrm"
    assert "classic grade" in succeed("grade", *options, "--certify", "1", *limit)
    result = call("data", "certify", *options, "-o", "proof", "--samples", "1")
    assert "certificates  proof" in result.stdout
    message = refuse("data", "inspect", "nothing", "--data", "facelift-sample")
    assert "'nothing'" in message or "nothing" in message.split(":")[0]


def test_prepare_prints_the_extent_that_it_measured(here):
    cameras = ("--set", "data.cameras.use=facelift_cameras.virtual_camera")
    small = sets("data.cameras.size=32", "data.limit=3")
    options = (*SMALL, *cameras, *small, "--workers", "0", "--certify", "0")
    text = succeed("prepare", "mice", "-o", "ready", *options)
    (line,) = [line for line in text.splitlines() if line.startswith("extent")]
    measured = []
    for file in Path("ready").glob("*/provenance.json"):
        steps = json.loads(file.read_text())["steps"]
        (step,) = [one for one in steps if one["step"] == "facelift_cameras.virtual_camera"]
        measured.append(step["params"]["measured"]["extent"] / step["world"]["scale"])
    low, middle, high = sorted(measured)
    assert line == (
        f"extent    {middle:.4g} in the recording's units (median; {low:.4g} to {high:.4g}); "
        f"data.cameras.extent={middle:.4g} would scale every sample alike, as video needs"
    )
    assert line in succeed("prepare", "mice", "-o", "ready", *options)
    text = succeed("prepare", "mice", "-o", "fixed", *options, *sets("data.cameras.extent=1.5"))
    assert "extent " not in text


def test_split_warns_of_what_both_sides_share(here):
    shutil.copytree(Path("mice") / "mice-train-0-000000", Path("mice") / "twin")
    content = json.loads(Path("mice/dataset.json").read_text())
    content["samples"].append("twin")
    Path("mice/dataset.json").write_text(json.dumps(content))
    found = json.loads(succeed("split", "mice", "--by", "order", "--gap", "0.2", "--json"))
    assert (found["train"], found["validation"]) == (4, 1)
    (pair,) = found["near_duplicates"]
    assert (pair["train"], pair["validation"]) == ("mice-train-0-000000", "twin")
    assert pair["difference"] == 0
    assert any(text.startswith("session 'day 0' is on both sides") for text in found["warnings"])
    text = succeed("split", "mice", "--by", "order", "--gap", "0.2")
    assert "1 validation samples nearly equal a training sample" in text


def test_split_that_cannot_be_leaves_the_lists(here):
    before = Path("mice/data_all.txt").read_text()
    message = refuse("data", "split", "mice", "--by", "order", "--validation", "0.9")
    assert "expected samples left to train on" in message
    assert Path("mice/data_all.txt").read_text() == before
    assert not Path("mice/data_val.txt").exists()


def test_grade_stands_beside_the_certificate(here):
    text = succeed("grade", "mice", "--certify", "1")
    assert text.startswith("classic grade   ")
    assert "over all views" in text
    assert "over sample means" in text
    assert "geometric certificate" in text
    assert "The certificate matters, the grade does not" in text
    found = json.loads(succeed("grade", "mice", "--certify", "1", "--json"))
    assert found["grade"]["num_views"] == 36
    assert found["certificate"]["samples"] == 1


def test_grade_of_measurements_alone(here):
    views = [{"size_ratio": 0.3, "com_offset_dist": 1.0}, {"size_ratio": 0.5, "com_offset_dist": 3}]
    Path("old.json").write_text(json.dumps({"samples": [{"view_metrics": views}]}))
    found = json.loads(succeed("grade", "old.json", "--json"))
    # Deviation 0.1 over mean 0.4; the one sample's mean does not vary.
    assert found["grade"]["cv_over_views_percent"] == pytest.approx(25.0)
    assert found["grade"]["cv_over_means_percent"] == pytest.approx(0.0)
    assert found["grade"]["offset_px"] == pytest.approx(2.0)
    assert found["certificate"] is None


@pytest.mark.parametrize("command", ["inspect", "grade"])
def test_no_such_path(here, command):
    message = refuse("data", command, "nowhere")
    assert message == "data.path: expected an existing file or folder, got nowhere. Check the path."


@pytest.mark.parametrize("command", ["convert", "prepare", "certify"])
def test_an_output_folder_is_required(here, command):
    assert call("data", command, "mice").exit_code == 2


def test_refusals(here):
    out = ("-o", "out", "--workers", "0")
    Path("mine").write_text("x")
    message = refuse("data", "prepare", "mice", "-o", "mine", *SMALL, "--workers", "0")
    assert message.endswith("datasets are never overwritten.")
    assert "mine: expected a new or empty folder" in message
    message = refuse("data", "convert", "mice", *out, *SMALL)
    assert message.startswith("data.size: expected nothing here, as convert does not use it")
    message = refuse("data", "prepare", "mice", *out, "--executor", "dask")
    assert message.startswith("--executor dask: expected the address of a scheduler, got none.")
    message = refuse("data", "prepare", "mice", *out, *SMALL, "--reader", "rabbit")
    assert "'rabbit'" in message
    assert sorted(path.name for path in here.iterdir()) == ["mice", "mine"]


def test_a_sample_that_lost_a_picture_is_named(here):
    Path("mice/mice-train-0-000002/images/cam_004.png").unlink()
    result = call("data", "prepare", "mice", "-o", "out", *SMALL, "--workers", "0")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "mice-train-0-000002/images/cam_004.png: expected a PNG or JPEG file" in last
    assert not Path("out").exists()
    text = succeed(
        *("prepare", "mice", "-o", "out", *SMALL, "--workers", "0", "--skip-bad", "1"),
    )
    assert "left out  1 bad samples, listed in dataset.json" in text


def test_a_reader_that_cannot_use_the_path_names_the_one_that_can(here):
    wrong = refuse("train", "markerless-mouse", "--data", "mice")
    assert "mice/new_cam.pkl" in wrong
    assert (
        "facelift_reader.gslrm can read mice: add --set data.reader=facelift_reader.gslrm" in wrong
    )
    assert wrong.endswith("or take the preset facelift-sample, which does not normalize it again.")
    Path("mice/dataset.json").unlink()
    wrong = refuse("data", "inspect", "markerless-mouse", "--data", "mice")
    assert wrong.endswith("can read mice: add --set data.reader=facelift_reader.gslrm.")
    Path("empty").mkdir()
    assert "can read" not in refuse("data", "inspect", "markerless-mouse", "--data", "empty")
