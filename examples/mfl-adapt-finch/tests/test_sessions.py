"""The reader: what it makes of an aviary, and how it refuses a damaged one."""

import csv
import re

import cv2
import numpy as np
import pytest
from mfl_adapt.cameras import lens
from mfl_adapt.errors import ConfigError, DataError

from mfl_adapt_finch.calibration import COLUMNS, read_calibration
from mfl_adapt_finch.config import SessionsConfig
from mfl_adapt_finch.layout import can_read
from mfl_adapt_finch.sessions import Sessions


def read(folder, **settings):
    return Sessions(SessionsConfig(path=folder, **settings))


def change(file, old, new):
    text = file.read_text()
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new, 1))


def write_row(folder, **values):
    """Write a calibration of one camera."""
    row = dict.fromkeys(COLUMNS, 0.0) | values
    with (folder / "calibration.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, [row[column] for column in COLUMNS]])


def first_picture(folder):
    return min((folder / "sessions" / "2026-03-02" / "cam072").glob("frame_*.png"))


def test_every_frame_is_a_sample_with_bird_session_and_time(drawn):
    reader = read(drawn)
    assert len(reader) == 4
    sample = reader[3]
    frame = sample.id.split("/")[1]
    assert sample.id.startswith("2026-03-03/")
    assert (sample.session, sample.animal) == ("2026-03-03", "zf-002")
    assert sample.time_s == int(frame) / 50.0
    assert [view.name for view in sample.views] == [f"cam{72 * index:03d}" for index in range(5)]


def test_chooses_sessions_cameras_and_frames(drawn):
    reader = read(drawn, sessions=["2026-03-03"], cameras=["cam216", "cam000"], every=2)
    assert [sample.session for sample in reader] == ["2026-03-03"]
    assert [view.name for view in reader[0].views] == ["cam216", "cam000"]
    marks = reader[0].provenance[0].params["marks"]
    assert {mark["camera"] for mark in marks} == {"cam216", "cam000"}


def test_conventions_by_hand(tmp_path):
    # The world's origin is 900 mm before the camera; a quarter turn about x makes the world's
    # z axis point up, which is -y in the camera.
    write_row(
        tmp_path,
        **{"camera": "a", "width": 320, "height": 240, "fx": 500, "fy": 510, "cx": 159.5},
        **{"cy": 119.5, "rx": np.pi / 2, "tz": 900},
    )
    camera = read_calibration(tmp_path)["a"]
    assert camera.fxfycxcy == (500, 510, 160, 120)
    assert (camera.height, camera.width, camera.lens, camera.distortion) == (
        240,
        320,
        "pinhole",
        (),
    )
    c2w = np.array(camera.c2w)
    np.testing.assert_allclose(c2w[:3, 3], [0, -900, 0], atol=1e-9)
    np.testing.assert_allclose(c2w[:3, 1], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(c2w[:3, 2], [0, 1, 0], atol=1e-12)


def test_cameras_project_as_opencv_does(drawn):
    rng = np.random.default_rng(3)
    points = rng.uniform((-80.0, -80.0, 1020.0), (80.0, 80.0, 1180.0), (50, 3))
    rows = csv.DictReader((drawn / "calibration.csv").read_text().splitlines())
    for row, (name, camera) in zip(rows, read_calibration(drawn).items(), strict=True):
        number = {key: float(value) for key, value in row.items() if key != "camera"}
        matrix = np.array(
            [
                [number["fx"], 0.0, number["cx"]],
                [0.0, number["fy"], number["cy"]],
                [0.0, 0.0, 1.0],
            ]
        )
        turn, shift, bend = (
            np.array([number[key] for key in keys])
            for keys in (("rx", "ry", "rz"), ("tx", "ty", "tz"), ("k1", "k2", "p1", "p2", "k3"))
        )
        expected = cv2.projectPoints(points, turn, shift, matrix, bend)[0].reshape(-1, 2)
        pixels, _ = lens.project_raw(points, camera)
        np.testing.assert_allclose(pixels, expected + 0.5, atol=1e-8, err_msg=name)


def test_knows_its_layout(drawn, tmp_path):
    assert can_read(drawn)
    assert not can_read(tmp_path)
    assert not can_read(tmp_path / "nowhere")
    assert not can_read(drawn / "sessions")


def test_asks_for_a_folder():
    with pytest.raises(ConfigError, match="--data FOLDER"):
        Sessions(SessionsConfig())


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("aviary.toml", '"mm"', '"cm"', r"aviary.toml: expected units = 'mm', got 'cm'"),
        ("aviary.toml", 'up = "z"', "", r"expected up = 'z', got None"),
        ("aviary.toml", "50.0", "-50.0", r"expected rate_hz above 0, got -50.0"),
        ("aviary.toml", "[[-150.0", "[[nan", r"of perch 'upper', got ValueError"),
        ("aviary.toml", "ends_mm", "ends", r"of perch 'upper', got KeyError"),
        ("aviary.toml", "[perches.upper]", "[perches.uper]", r"perches.csv:2: .* 'upper'"),
        ("aviary.toml", "[perches", "perches = 3\n[[perches", r"aviary.toml: expected TOML"),
        ("calibration.csv", "k1,k2", "k2,k1", r"calibration.csv:1: expected the columns"),
        ("calibration.csv", ",160,120,", ",160.5,120,", r"csv:2: expected whole sides"),
        ("calibration.csv", ",160,120,", ",wide,120,", r"csv:2: .* for width, got 'wide'"),
        ("calibration.csv", ",160,120,", ",160,120,,", r"csv:2: expected 18 fields, got 19"),
        ("calibration.csv", "cam072", "cam000", r"csv:3: .*every name once, got 'cam000'"),
        ("calibration.csv", "cam072", "../x", r"csv:3: expected a camera's name .* '../x'"),
        (
            "perches.csv",
            "cam000,upper,1",
            "cam001,upper,1",
            r"csv:2: .* known camera, got 'cam001'",
        ),
        ("perches.csv", "cam000,upper,1", "cam000,upper,3", r"end 1 or 2 .* got '3'"),
        ("sessions/2026-03-02/session.toml", "bird", "brid", r"expected bird .* got None"),
    ],
)
def test_names_what_is_wrong_in_one_line(aviary, file, old, new, expected):
    change(aviary / file, old, new)
    with pytest.raises(DataError, match=expected) as caught:
        read(aviary)
    assert "\n" not in str(caught.value)


def test_an_unknown_session_gets_a_suggestion(drawn):
    with pytest.raises(DataError, match=r"got '2026-03-04'\. Did you mean '2026-03-0[23]'"):
        read(drawn, sessions=["2026-03-04"])


def test_a_camera_without_calibration_is_not_passed_over(aviary):
    file = aviary / "calibration.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    marks = aviary / "perches.csv"
    marks.write_text("\n".join(x for x in marks.read_text().splitlines() if "cam288" not in x))
    with pytest.raises(DataError, match=r"cam288: expected a camera of calibration.csv"):
        read(aviary)


def test_a_frame_that_a_camera_lacks_is_named(aviary):
    gone = first_picture(aviary)
    gone.unlink()
    with pytest.raises(DataError, match=re.escape(f"{gone}: expected this frame")):
        read(aviary)


def test_a_mask_that_lacks_is_named(aviary):
    gone = first_picture(aviary)
    gone = gone.with_name(gone.name.replace("frame", "mask"))
    gone.unlink()
    reader = read(aviary)
    with pytest.raises(DataError, match=re.escape(str(gone))):
        reader[0]


def test_a_picture_of_another_name_is_not_passed_over(aviary):
    first_picture(aviary).with_name("Frame 7.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"Frame 7.png: expected a name such as frame_000120.png"):
        read(aviary)


def test_a_resized_picture_is_refused(aviary):
    file = first_picture(aviary)
    cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (80, 60)))
    with pytest.raises(DataError, match=r"expected a picture of the camera's height and width"):
        read(aviary)[0]
