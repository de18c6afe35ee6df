"""Every failure of the field, put into a good dataset, is found by the name it has here.

The catalogue of failures numbers them 1 to 62; ``MFL007`` is the finding of failure 7. Those of
geometry and of data files are injected here one at a time, on disk, and looked for with the
commands that a user would type. What a program cannot see, or sees only in part:

====  =============================================================================================
 1    The dead key that gave a false sense of safety is any unknown key, which no configuration
      may hold. Metres and millimetres are found where they matter; centimetres of a mouse are
      millimetres of a rat, so no unit is ever guessed, only a scale that cannot work.
 4    A focal length that is wrong by one factor in all views moves all mask centres towards or
      from the middle alike: they still meet, and only the outlines disagree, by 2 to 7 %
      (MFL002). MFL004 needs crops that differ, as crops around an animal do.
 6, 7 Without a record they are told by what they leave behind, equal sizes and equal distances,
      and by masks that contradict one another. A ball in the middle of a ring of equal cameras
      contradicts nothing, and is not harmed.
 8    Only the world's up can be judged; which way a picture of a mouse is up, nobody knows.
 9    That slots are no ring of 60 degrees is a fact about a base with slots; others have none.
12    Cameras are invented nowhere. Flat folders of six pictures stand for FaceLift's slots, as
      that layout says; pictures from other cameras then contradict their masks (MFL002).
18    No failure: unequal sizes are perspective, so that they inform and never warn.
20    Frames out of order are seen by their times. Shuffled frames without times are just frames;
      ``data split`` then compares pictures across the split and warns of near-duplicates.
51    A reader that gives one sample for another leaves twins, unless the other is left out
      later; ours never do, and ``--skip-bad`` counts.
58    Clipped pictures and such of too few bits are seen. The low byte of a true 16-bit picture is
      noise, which a program cannot tell from fur; every reader here divides by 257.
====  =============================================================================================
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import injuries
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mfl_adapt.cli.app import app
from mfl_adapt.data import write_dataset
from mfl_adapt.images import load_picture, save_picture
from mfl_adapt.synth import render_sample

SIZE = 96
SETTINGS = ("data.size=96", "data.split.validation=0.34", "data.split.gap=0")
ALWAYS = {"MFL010", "MFL036", "MFL101", "MFL102"}
"""Information on any small dataset of a real rig: its order, its size, distances and lenses."""


class Case(NamedTuple):
    """An injury and the finding that is its own.

    Attributes:
        injure: What happens to the dataset.
        code: The finding.
        severity: How bad it is; a law ends the command with 1.
        value: What the finding must measure.
    """

    injure: Callable[[Path], None]
    code: str
    severity: str
    value: str


CASES = [
    Case(injuries.millimetres, "MFL001", "law", r"subject reaches \d+ from"),
    Case(injuries.metres, "MFL001", "law", r"nearest camera 0\.\d+ .* subject 0\.\d+ across"),
    Case(injuries.cameras_of_another_rig, "MFL002", "law", r"\d+\.\d % of the mask fits"),
    Case(injuries.looking_away, "MFL013", "law", r"cosine -1\.000"),
    Case(injuries.intrinsics_overwritten, "MFL004", "law", r"error \d+\.\d px at 512"),
    Case(injuries.subject_off_the_origin, "MFL005", "warning", r"0\.\d+ from the origin"),
    Case(injuries.zoomed_one_by_one, "MFL006", "warning", r"equal within 0\.\d+ %"),
    Case(injuries.pulled_to_one_distance, "MFL007", "warning", r"distance 2\.700 .* by \d\.\d %"),
    Case(injuries.y_up, "MFL008", "warning", r"cosine -?0\.\d+"),
    Case(injuries.without_camera_files, "MFL002", "law", r"\d+\.\d % of the mask fits"),
    Case(injuries.opengl, "MFL013", "law", r"cosine -1\.000"),
    Case(injuries.one_picture_flipped, "MFL014", "warning", r"100\.0 % once this one is flipped"),
    Case(injuries.all_pictures_flipped, "MFL014", "warning", r"100\.0 % once all are flipped"),
    Case(injuries.stretched_pixels, "MFL015", "warning", r"fx = 153\.\d+, fy = 172\.\d+"),
    Case(injuries.zoomed_out_of_the_frame, "MFL016", "warning", r"\d+ px on "),
    Case(injuries.centred_by_boxes, "MFL017", "warning", r"centres of mass up to \d+\.\d px"),
    Case(injuries.unequal_sizes, "MFL018", "info", r"largest over smallest size \d\.\d\d"),
    Case(injuries.principal_points_shifted, "MFL019", "law", r"6\.00 px off the middle"),
    Case(injuries.shuffled, "MFL020", "warning", r"1 of 2 steps go back"),
    Case(injuries.moved_after_preparation, "MFL048", "law", r"up to 0\.\d+ px apart"),
    Case(injuries.one_view_dropped, "MFL049", "warning", r"5 views, without cam_002"),
    Case(injuries.one_sample_for_another, "MFL051", "law", r"same bytes as mice-train-0-000000"),
    Case(injuries.clipped_from_16_bits, "MFL058", "warning", r"\d+\.\d % of the subject is"),
    Case(injuries.twelve_bits_in_sixteen, "MFL058", "warning", r"level \d+\.\d of 255"),
]
OF_THE_DATASET = {"MFL020", "MFL049", "MFL051"}

CERTIFICATES = [
    (injuries.millimetres, "reach", 1),
    (injuries.metres, "extent", 1),
    (injuries.cameras_of_another_rig, "hull_coverage", 1),
    (injuries.looking_away, "look_at", 1),
    (injuries.intrinsics_overwritten, "residual_px", 1),
    (injuries.subject_off_the_origin, "origin", 0),
    (injuries.pulled_to_one_distance, "hull_coverage", 1),
    (injuries.opengl, "look_at", 1),
    (injuries.stretched_pixels, "aspect", 0),
    (injuries.zoomed_out_of_the_frame, "border_px", 0),
    (injuries.principal_points_shifted, "principal_point", 1),
    (injuries.moved_after_preparation, "round_trip_px", 1),
    (injuries.clipped_from_16_bits, "mask_agreement", 0),
]

SLOTTED = """
from mfl_adapt.plugin import BaseSpec, ComponentConfig, hookimpl
from mfl_adapt.types import RigContract

MFL_API = 1


class Config(ComponentConfig):
    pass


@hookimpl
def register_components():
    contract = RigContract(
        size=96, patch=8, depth_reach=1.8, slots_deg=(270.0, 225.0, 180.0, 90.0, 0.0, 315.0)
    )
    summary = "six fixed views"
    build = __name__ + ":Config"
    return [BaseSpec(name="six", summary=summary, config=Config, build=build, contract=contract)]
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def settings(*keys: str) -> list[str]:
    return [part for key in keys for part in ("--set", key)]


def examine(data: Path | str, *keys: str, options: tuple[str, ...] = ()) -> tuple[int, list[dict]]:
    """Exit code and findings of the doctor, without the habits of any real rig."""
    code, content = visit(data, *keys, options=options)
    found = content["findings"]
    return code, [one for one in found if one["code"] not in ALWAYS or one["severity"] != "info"]


def visit(data: Path | str, *keys: str, options: tuple[str, ...] = ()) -> tuple[int, dict]:
    """Exit code of the doctor and all that it prints."""
    arguments = ["doctor", "--data", str(data), "--json", *options, *settings(*SETTINGS, *keys)]
    result = call(*arguments)
    assert result.stderr == "", result.stderr
    return result.exit_code, json.loads(result.stdout)


def only_law(data: str, *keys: str) -> dict:
    """The one law that the doctor finds, with nothing else to begin with."""
    code, content = visit(data, *keys)
    laws = [one for one in content["summary"] if one["severity"] == "law"]
    assert (code, len(laws)) == (1, 1), laws
    assert content["begin_with"] == [laws[0]["code"]]
    return laws[0]


def refused(*arguments: str) -> str:
    """The one line in which a command ends with 1."""
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.stderr.rstrip().endswith(line)
    return line.removeprefix("error: ")


def write_mice(folder: Path, rig: str) -> Path:
    samples = [
        replace(
            render_sample("mice", index, rig=rig, size=SIZE, num_views=6),
            session="day 1",
            time_s=float(index),
        )
        for index in range(3)
    ]
    write_dataset(samples, folder)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Three mice in the lab rig, nothing wrong with them; to be copied."""
    return write_mice(tmp_path_factory.mktemp("good") / "mice", "lab")


@pytest.fixture
def mice(good, tmp_path, monkeypatch) -> Path:
    """A copy, to be spoilt, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(good, tmp_path / "mice"))


def test_the_good_dataset_has_no_law_and_no_warning(good, tmp_path):
    assert examine(good) == (0, [])
    result = call("data", "certify", str(good), "-o", str(tmp_path / "proof"), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["failures"] == {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.injure.__name__}")
def test_the_doctor_names_it_and_nothing_else(mice, case):
    case.injure(mice)
    # Checks of one sample need no more; a dropped view would stop a batch of two before.
    few = ["train.batch=1"] if case.code in OF_THE_DATASET else ["data.limit=1"]
    code, content = visit(mice, *few)
    found = content["findings"]
    own = [one for one in found if (one["code"], one["severity"]) == (case.code, case.severity)]
    assert own, f"{case.code} is missing among {[(one['code'], one['value']) for one in found]}"
    assert any(re.search(case.value, one["value"]) for one in own), [one["value"] for one in own]
    assert all(one["where"].startswith(("mice-train-0-", "session day 1")) for one in own)
    assert all(one["remedy"].endswith(".") and one["expected"] for one in own)
    assert code == (1 if any(one["severity"] == "law" for one in found) else 0)
    # What else is found is said to come from it.
    assert content["begin_with"] == ([] if case.severity == "info" else [case.code])


@pytest.mark.parametrize(("injure", "failure", "code"), CERTIFICATES)
def test_the_certificate_shows_it(mice, injure, failure, code):
    injure(mice)
    result = call("data", "certify", "mice", "-o", "proof", "--samples", "1", "--json")
    assert result.exit_code == code, result.output
    assert failure in json.loads(result.stdout)["failures"]
    assert Path("proof/table.txt").read_text().count(f"{failure} of ") >= 1


@pytest.mark.parametrize(
    ("injure", "code"),
    [(injuries.millimetres, "MFL001"), (injuries.one_sample_for_another, "MFL051")],
)
def test_training_refuses_a_broken_law(mice, injure, code):
    injure(mice)
    message = refused("train", "--data", "mice", *settings(*SETTINGS, "data.limit=3"))
    assert re.match(rf"doctor: expected no broken law, got {code} \(\d\)", message)
    assert not Path("runs").exists()


UNEVEN = "4 + 5 in mice-train-0-000000 and 4 + 4 in mice-train-0-000001. mfl-adapt doctor names"


def test_a_dropped_view_stops_a_batch(mice):
    injuries.one_view_dropped(mice)
    assert UNEVEN in refused("train", "--data", "mice", *settings(*SETTINGS))


def test_the_doctor_names_a_dropped_view_and_the_batch_that_it_stops(mice):
    injuries.one_view_dropped(mice)
    code, content = visit(mice)
    assert (code, content["begin_with"]) == (1, ["MFL049"])
    found = {one["severity"]: one for one in content["findings"] if one["code"] == "MFL049"}
    assert found["warning"]["value"] == "5 views, without cam_002"
    assert "in mice-train-0-000001" in found["law"]["value"]


@pytest.fixture
def slotted(tmp_path) -> tuple[str, ...]:
    """Options for a base with FaceLift's six view slots."""
    (tmp_path / "slotted.py").write_text(SLOTTED)
    return ("--plugins", str(tmp_path / "slotted.py"), *settings("base.id=slotted.six"))


def test_failure_9_a_ring_is_not_the_slots(tmp_path, slotted):
    ring = write_mice(tmp_path / "ring", "ring")
    _, found = examine(ring, "data.limit=1", options=slotted)
    (one,) = [one for one in found if one["code"] == "MFL009"]
    assert re.match(r"\d+\.\d degrees from its slot at azimuth \d+", one["value"])


def test_failure_10_files_are_not_in_the_order_of_slots(mice, slotted):
    _, found = examine(mice, "data.limit=1", options=slotted)
    (one,) = [one for one in found if one["code"] == "MFL010"]
    assert one["severity"] == "warning"
    assert one["value"] == "azimuths 213, 34, 86, 349, 144, 296 degrees in the order of the files"


def test_failure_11_slots_without_their_permutation(tmp_path, slotted):
    folder = write_mice(tmp_path / "slots", "slots")
    code, found = examine(folder, "data.limit=1", options=slotted)
    assert (code, {one["code"] for one in found} & {"MFL009", "MFL010", "MFL011"}) == (0, set())
    # FaceLift's inference file has azimuths 180, 225, 270, 315, 0, 90.
    for sample in injuries.samples(folder):
        file = sample / injuries.CAMERAS
        content = json.loads(file.read_text())
        content["frames"] = [content["frames"][slot] for slot in (2, 1, 0, 5, 4, 3)]
        file.write_text(json.dumps(content))
        (sample / "provenance.json").unlink()
    code, found = examine(folder, "data.limit=1", options=slotted)
    (one,) = [one for one in found if one["code"] == "MFL011"]
    assert (code, one["severity"], one["value"]) == (1, "law", "view 0 at azimuth 180 degrees")


def test_failure_3_a_mirrored_pose_is_refused(mice):
    injuries.mirrored_pose(mice)
    one = only_law("mice")
    assert (one["code"], one["places"]) == ("MFL003", 3)
    assert one["where"] == "mice/mice-train-0-000000/opencv_cameras.json: frames[0].w2c"
    assert (one["expected"], one["value"]) == ("a rotation with det +1", "det -1")
    assert one["remedy"].startswith("One axis is mirrored")


def test_failure_12_lost_camera_files_are_not_made_up(mice):
    files = [sample / injuries.CAMERAS for sample in injuries.samples(mice)]
    files[1].unlink()
    one = only_law("mice")
    assert (one["code"], one["where"]) == ("MFL012", f"mice/{files[1].parent.name}/{files[1].name}")
    for file in (files[0], files[2]):
        file.unlink()
    one = only_law("mice")
    assert (one["code"], one["value"]) == ("MFL047", "none")
    assert "active reader that knows mice" in one["expected"]
    one = only_law("mice", "data.reader=facelift_reader")
    assert (one["code"], one["places"]) == ("MFL012", 3)


@pytest.mark.parametrize("key", ["data.normalize_distance_to=2.7", "data.horizontal_flip=true"])
def test_failures_1_and_14_keys_that_nothing_reads_are_refused(mice, key):
    one = only_law("mice", key)
    assert one["code"] == "MFL046"
    assert key.partition("=")[0].rpartition(".")[2] in one["value"]


def test_failure_15_a_stretched_picture_is_refused(mice):
    path = injuries.pictures(injuries.samples(mice)[0])[1]
    rgb, mask = load_picture(path)
    save_picture(path, rgb[:80].copy(), mask[:80].copy())
    one = only_law("mice")
    assert (one["code"], one["where"]) == ("MFL015", str(path.relative_to(mice.parent)))
    assert one["expected"] == "the aspect of its camera, w x h = 96 x 96"
    assert one["value"] == "96 x 80"


def test_failure_48_pictures_as_they_were_recorded(mice):
    """Whole frames, with the right cameras: only nobody has prepared them."""
    for sample in injuries.samples(mice):
        for path in injuries.pictures(sample):
            rgb, mask = load_picture(path)
            save_picture(path, rgb[8:88].copy(), mask[8:88].copy())
        injuries.edit_frames(sample, lambda index, frame: frame.update(h=80, cy=frame["cy"] - 8))
    one = only_law("mice")
    assert (one["code"], one["places"], one["value"]) == ("MFL048", 3, "[80, 96]")
    normalized = ["data.cameras.use=facelift_cameras.virtual_camera", "data.cameras.size=96"]
    assert examine(mice, *normalized) == (0, [])


def test_failure_49_pictures_without_alpha(mice):
    for path in injuries.pictures(injuries.samples(mice)[1]):
        save_picture(path, load_picture(path).rgb)
    one = only_law("mice")
    assert (one["code"], one["places"]) == ("MFL049", 1)
    assert one["where"] == "mice/mice-train-0-000001/images/cam_000.png"
    assert one["expected"].startswith("an alpha channel")
    # A step that needs alpha says the same, and no view is dropped on the way.
    unmasked = settings(
        "data.reader={use: facelift_reader, mask: none}",
        "data.preprocess=[{use: preprocess.auto_mask, source: alpha}]",
    )
    message = refused("data", "prepare", "mice", "-o", "out", "--workers", "0", *unmasked)
    assert "alpha" in message
    assert not Path("out").exists()


def test_failure_51_a_bad_sample_is_never_replaced(mice):
    path = injuries.pictures(injuries.samples(mice)[2])[0]
    path.write_bytes(path.read_bytes()[:200])
    one = only_law("mice")
    assert (one["code"], one["expected"]) == ("MFL051", "a whole PNG up to its end marker")
    assert one["where"] == "mice/mice-train-0-000002/images/cam_000.png"
    refused("data", "convert", "mice", "-o", "out", "--workers", "0")
    result = call("data", "convert", "mice", "-o", "out", "--workers", "0", "--skip-bad", "1")
    assert "left out  1 bad samples" in result.stdout
    assert json.loads(Path("out/dataset.json").read_text())["samples"] == [
        "mice-train-0-000000",
        "mice-train-0-000001",
    ]


def test_failure_52_lists_are_relative_to_themselves(mice, tmp_path, monkeypatch):
    names = [sample.name for sample in injuries.samples(mice)]
    (mice / "data_all.txt").write_text("".join(f"{name}\n" for name in names))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert examine("../mice/data_all.txt") == (0, [])


@pytest.mark.parametrize(
    ("lines", "number", "name"),
    [
        (["mice-train-0-000000", "mice-train-0-000009"], 2, "mice-train-0-000009"),
        (["/mnt/localssd/mice/sample_0", "/mnt/localssd/mice/sample_1"], 1, "/mnt/localssd/mice"),
    ],
)
def test_failure_52_lists_with_paths_that_do_not_exist(mice, lines, number, name):
    (mice / "data_all.txt").write_text("\n".join(lines) + "\n")
    one = only_law("mice/data_all.txt")
    assert (one["code"], one["where"]) == ("MFL052", f"mice/data_all.txt:{number}")
    assert one["value"].startswith(name)
    for command in (
        ("train", "--data", "mice/data_all.txt"),
        ("data", "inspect", "mice/data_all.txt"),
        ("data", "prepare", "mice/data_all.txt", "-o", "out", "--workers", "0"),
    ):
        message = refused(*command)
        assert f"mice/data_all.txt:{number}: expected a sample folder, got " in message
        assert name in message
        assert message.endswith("Entries are relative to the list file.")


def test_failure_58_pictures_of_16_bits_are_read_whole(mice):
    """The low bytes hold what 8 bits cannot; clipping or cutting them off would show."""
    rng = np.random.default_rng(0)
    for sample in injuries.samples(mice):
        for path in injuries.pictures(sample):
            rgb, mask = load_picture(path)
            rgba = np.concatenate([rgb, mask[..., None]], axis=2).astype(np.uint16) * 257
            noise = rng.integers(-120, 121, rgba.shape)
            injuries.write_16_bits(path, np.clip(rgba + noise, 0, 65535).astype(np.uint16))
            np.testing.assert_array_equal(load_picture(path).rgb, rgb)
    assert examine(mice) == (0, [])
