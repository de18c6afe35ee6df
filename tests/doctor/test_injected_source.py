"""Failures of a dataset's own files, and how they are mended without losing anything."""

import json
from pathlib import Path

import cv2
import injuries
import pytest
from injured_rigs import LISTED, one_camera_for_all
from injury import check_injury
from typer.testing import CliRunner
from visits import HABITS, codes, only, visit, write

from mfl_adapt.cli.app import app

SETTINGS = [
    part
    for key in ("data.size=96", "data.split.validation=0.5", "data.split.gap=0")
    for part in ("--set", key)
]


@pytest.fixture
def mice(copy) -> Path:
    """Six moments of two mice, in one session."""
    return copy("six")


def names(folder: Path) -> list[str]:
    return [sample.name for sample in injuries.samples(folder)]


def mended(*arguments: str) -> list[str]:
    """What ``--fix`` prints that it did."""
    result = CliRunner().invoke(app, ["doctor", *arguments, *SETTINGS])
    assert result.exit_code == 0, result.output
    return [line for line in result.stdout.splitlines() if line.startswith("fix ")]


def test_a_dataset_of_two_lists_is_clean(mice):
    found = names(mice)
    write(mice / "data_train.txt", "\n".join(found[:4]) + "\n")
    write(mice / "data_val.txt", "\n".join(found[4:]) + "\n")
    status, content = visit("mice", *SETTINGS)
    assert (status, codes(content)) == (0, {})
    assert mended("mice", "--fix") == ["fix     nothing that can be mended safely"]


def test_failure_52_a_list_of_another_machine_is_mended(mice):
    lines = [f"/mnt/localssd/data_mouse/{name}/" for name in names(mice)]
    listed = write(mice / "data_all.txt", "\n".join([*lines, lines[0]]) + "\n")
    before = listed.read_text()
    one = only("MFL052", "law", r"another machine \(7 such\)$", str(listed), *SETTINGS)
    assert one["where"] == "mice/data_all.txt:1"
    (line,) = _dry(str(listed))
    assert line == "fix     MFL052  would change mice/data_all.txt: 7 of 7 entries mended"
    assert listed.read_text() == before
    (line,) = mended(str(listed), "--fix")
    assert line.endswith("7 of 7 entries mended; the old one is data_all.txt.bak")
    assert listed.read_text().splitlines() == names(mice)
    assert Path("mice/data_all.txt.bak").read_text() == before
    assert codes(visit(str(listed), *SETTINGS)[1]) == {}


def _dry(*arguments: str) -> list[str]:
    """The same for ``--fix-dry-run``, after which the law is still broken."""
    result = CliRunner().invoke(app, ["doctor", *arguments, "--fix-dry-run", *SETTINGS])
    assert result.exit_code == 1, result.output
    return [line for line in result.stdout.splitlines() if line.startswith("fix ")]


def test_copies_are_never_written_over(mice):
    for number in ("", "2"):
        lines = [f"/elsewhere/{name}" for name in names(mice)]
        listed = write(mice / "data_all.txt", "\n".join(lines) + "\n")
        (line,) = mended(str(listed), "--fix")
        assert line.endswith(f"data_all.txt.bak{number}")


def test_an_entry_that_nobody_knows_is_left_alone(mice):
    listed = write(mice / "data_all.txt", f"{names(mice)[0]}\n/mnt/gone/sample_7\n")
    one = only("MFL052", "law", r"sample_7, which is no folder \(1 such\)", str(listed), *SETTINGS)
    assert one["remedy"] == "Write the list again; entries are relative to it."
    assert _dry(str(listed)) == ["fix     nothing that can be mended safely"]


def test_an_entry_never_leaves_the_folder_of_its_list(mice):
    (Path("secret") / "sub").mkdir(parents=True)
    listed = write(mice / "data_all.txt", "/mnt/gone/..\n")
    assert codes(visit(str(listed), *SETTINGS)[1])["MFL052"] == "law"
    assert _dry(str(listed)) == ["fix     nothing that can be mended safely"]


def test_sizes_that_a_resize_left_behind_are_mended(mice):
    """Pictures halved and fx to cy with them, but not w and h."""
    for sample in injuries.samples(mice):
        for path in injuries.pictures(sample):
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(path), cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA))

        def halve(index, frame):
            for key in ("fx", "fy", "cx", "cy"):
                frame[key] /= 2

        injuries.edit_frames(sample, halve)
    one = only("MFL064", "law", r"^w x h = 96 x 96 \(6 such\)$", "mice", *SETTINGS)
    assert one["expected"].startswith("48 x 48, the picture's size")
    assert len(mended("mice", "--fix")) == 6
    assert codes(visit("mice", *SETTINGS)[1]) == {}


def test_pictures_that_were_only_resized_are_no_failure(mice):
    """The reader scales their cameras, which is right."""
    for sample in injuries.samples(mice):
        (sample / "provenance.json").unlink()
        for path in injuries.pictures(sample):
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(path), cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA))
    assert codes(visit("mice", *SETTINGS)[1]) == {}


def test_a_recorded_history_is_not_mended(mice):
    """Whoever changed such a file did more than a resize."""
    file = injuries.samples(mice)[0] / injuries.CAMERAS
    content = json.loads(file.read_text())
    for frame in content["frames"]:
        frame["w"] = frame["h"] = 192
    file.write_text(json.dumps(content))
    only("MFL064", "law", "192 x 192", "mice", *SETTINGS)
    assert _dry("mice") == ["fix     nothing that can be mended safely"]


@pytest.mark.parametrize("injury", LISTED, ids=str)
def test_the_doctor_names_what_is_wrong_with_files(mice, injury):
    injury.injure(mice)
    status, content = visit("mice", *SETTINGS)
    check_injury(injury, content["findings"], HABITS)
    assert status == (1 if injury.severity == "law" else 0)
    assert content["begin_with"] == [injury.code]


def test_one_camera_for_all_views_is_said_of_each_pair(mice):
    one_camera_for_all(mice)
    _, content = visit("mice", *SETTINGS)
    one = next(one for one in content["summary"] if one["code"] == "MFL037")
    assert one["places"] == 30


def test_only_files_of_datasets_can_be_mended():
    result = CliRunner().invoke(app, ["doctor", "quickstart", "--fix"])
    assert result.exit_code == 1
    assert "error: doctor --fix: expected an existing dataset folder or list" in result.stderr


def test_a_large_dataset_is_sampled_and_says_so(mice, monkeypatch):
    monkeypatch.setattr("mfl_adapt.doctor.visit.USUALLY", 3)
    _, content = visit("mice", *SETTINGS)
    assert content["facts"]["samples"] == "3 of 6, spread evenly; --all for the rest"
    # Nobody knows how many there are to train on before all are read.
    assert "MFL036" not in {one["code"] for one in content["findings"]}
    _, content = visit("mice", *SETTINGS, "--all")
    assert content["facts"]["samples"] == "all 6"
    few = next(one for one in content["findings"] if one["code"] == "MFL036")
    assert few["value"] == "3 different moments, 3 animals, 2 s from first to last"
