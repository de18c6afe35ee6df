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
from pathlib import Path

import injuries
import numpy as np
import pytest
from injured_data import LAB, OF_THE_DATASET, as_recorded
from injured_rigs import GENERATED, HABITUAL, SLOTTED
from injury import Injury, check_injury
from typer.testing import CliRunner, Result
from visits import HABITS

from mfl_adapt.cli.app import app
from mfl_adapt.images import load_picture, save_picture

SETTINGS = ("data.size=96", "data.split.validation=0.34", "data.split.gap=0")

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

SLOTTED_BASE = """
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
    return code, [one for one in found if one["code"] not in HABITS or one["severity"] != "info"]


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


@pytest.fixture
def mice(copy) -> Path:
    """Three mice in the lab rig with nothing wrong with them, to be spoilt."""
    return copy("lab")


@pytest.fixture
def slotted(tmp_path) -> tuple[str, ...]:
    """Options for a base with FaceLift's six view slots."""
    (tmp_path / "slotted.py").write_text(SLOTTED_BASE)
    return ("--plugins", str(tmp_path / "slotted.py"), *settings("base.id=slotted.six"))


def test_the_good_dataset_has_no_law_and_no_warning(mice):
    assert examine("mice") == (0, [])
    result = call("data", "certify", "mice", "-o", "proof", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["failures"] == {}


def test_other_good_datasets_have_no_finding_at_all(sound, slotted):
    one = "data.limit=1"
    assert visit(sound("ring"), one)[1]["findings"] == []
    assert visit(sound("slots"), one, options=slotted)[1]["findings"] == []
    assert visit(sound("generated"), one)[1]["findings"] == []


def hold(injury: Injury, found: tuple[int, dict], habits: frozenset[str] = frozenset()) -> None:
    """Hold what a command found against what had been done."""
    code, content = found
    check_injury(injury, content["findings"], habits)
    broken = any(one["severity"] == "law" for one in content["findings"])
    assert code == (1 if broken else 0)
    # What else is found is said to come from it.
    assert content["begin_with"] == ([] if injury.severity == "info" else [injury.code])


@pytest.mark.parametrize("injury", LAB, ids=str)
def test_the_doctor_names_it_and_nothing_else(mice, injury):
    injury.injure(mice)
    # Checks of one sample need no more; a dropped view would stop a batch of two before.
    few = ["train.batch=1"] if injury.injure in OF_THE_DATASET else ["data.limit=1"]
    hold(injury, visit(mice, *few), HABITS)


@pytest.mark.parametrize("injury", HABITUAL, ids=str)
def test_even_information_comes_alone(copy, injury):
    mice = copy("ring")
    injury.injure(mice)
    hold(injury, visit(mice, *([] if injury.code == "MFL036" else ["data.limit=1"])))


@pytest.mark.parametrize("injury", SLOTTED, ids=str)
def test_what_only_a_base_with_slots_minds(copy, slotted, injury):
    mice = copy("ring" if injury.code == "MFL009" else "slots")
    injury.injure(mice)
    hold(injury, visit(mice, "data.limit=1", options=slotted))


@pytest.mark.parametrize("injury", GENERATED, ids=str)
def test_what_only_a_record_of_a_model_tells(copy, injury):
    mice = copy("generated")
    injury.injure(mice)
    hold(injury, visit(mice, "data.limit=1"))


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


def test_failure_48_recordings_are_prepared_while_they_are_read(mice):
    as_recorded(mice)
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
