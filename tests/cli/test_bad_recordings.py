"""Recordings with something wrong, as a laboratory has them: one clear line, or a named law.

A small recording is spoilt on disk in one way at a time and then given to the commands that read
recordings. What no single file shows (a swapped camera, a focal length of another resolution) is
found by the doctor and by the certificate, once pictures, masks and cameras are held together.
"""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_input import call, sets

from mfl_adapt.data import write_dataset
from mfl_adapt.images import load_picture, save_picture
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.images.video import VideoReader
from mfl_adapt.synth import render_sample
from mfl_adapt.synth.recording import write_recording

FRAMES = 4
HEIGHT, WIDTH = 128, 144
NORMALIZED = (
    "data.size=96",
    "data.limit=2",
    "data.split.validation=0.5",
    "data.split.gap=0",
    "data.cameras.use=facelift_cameras.virtual_camera",
    "data.cameras.size=96",
)
DOCTOR = ("doctor", "--data", "lab", *sets(*NORMALIZED))
PREPARE = ("data", "prepare", "lab", "-o", "out", "--workers", "0", *sets(*NORMALIZED))
CERTIFY = ("data", "certify", "lab", "-o", "proof", "--samples", "1")
COMMANDS = (
    ("data", "inspect", "lab"),
    ("data", "convert", "lab", "-o", "out", "--workers", "0"),
    PREPARE,
    CERTIFY,
    DOCTOR,
    ("train", "--data", "lab", *sets(*NORMALIZED)),
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "lab"
    write_recording(folder, frames=FRAMES, fps=10, scale=0.125)
    return folder


@pytest.fixture
def lab(empty_folder, recorded) -> Path:
    """A copy of the recording, to be spoilt, named as the user does."""
    shutil.copytree(recorded, empty_folder / "lab")
    return Path("lab")


def told(*arguments: str) -> str:
    """The first law that the doctor finds, worded as other commands word their errors."""
    result = call(*arguments, "--json")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, "error: " in result.stderr) == (1, False)
    found = next(o for o in json.loads(result.stdout)["findings"] if o["severity"] == "law")
    return "{where}: expected {expected}, got {value}. {remedy}".format(**found)


def refused(*arguments: str) -> str:
    """The one line in which a command ends; progress may stand before it, a traceback never."""
    if arguments[0] == "doctor":
        return told(*arguments)
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (1, "")
    last = result.stderr.splitlines()[-1]
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.stderr
    assert last.startswith("error: ")
    assert not Path("out").exists()
    assert not Path("runs").exists()
    return last.removeprefix("error: ")


def refused_by_all(pattern: str) -> None:
    """Every command that reads recordings gives the same line; it says what to do."""
    for command in COMMANDS:
        message = refused(*command)
        assert re.search(pattern, message), message
        assert re.search(r": expected .+, got .+[.] [A-Z].+", message), message


def laws() -> dict[str, str]:
    """Codes of the laws that the doctor finds, each with the value of its worst finding."""
    result = call(*DOCTOR, "--json")
    found = json.loads(result.stdout)["summary"]
    broken = {one["code"]: one["value"] for one in found if one["severity"] == "law"}
    assert result.exit_code == (1 if broken else 0), result.stderr
    return broken


def certified() -> tuple[int, set[str]]:
    """Exit code of the raw recording's certificate, and what fails in it."""
    result = call(*CERTIFY, "--json")
    return result.exit_code, set(json.loads(result.stdout)["failures"])


RAW = {"origin", "reach", "principal_point"}
"""What any recording in mm breaks before its cameras are normalized."""


def recalibrate(edit) -> None:
    path = Path("lab/new_cam.pkl")
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(edit(content) or content, protocol=4))


def write_video(path: str, *, frames=FRAMES, height=HEIGHT, width=WIDTH, level=0) -> None:
    with Mp4Writer(Path("lab") / path, fps=10, crf=20) as video:
        for _ in range(frames):
            video.add(np.full((height, width, 3), level, np.uint8))


def swap(first: str, second: str) -> None:
    one, other, aside = Path("lab") / first, Path("lab") / second, Path("lab/aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_the_good_recording_has_no_law_and_no_warning(lab):
    result = call(*DOCTOR, "--json")
    assert result.exit_code == 0, result.stderr
    severities = {one["severity"] for one in json.loads(result.stdout)["findings"]}
    assert severities == {"info"}
    result = call(*PREPARE)
    assert result.exit_code == 0, result.stderr
    assert "geometry  2 samples certified: 2 clean\n" in result.stdout
    assert certified() == (1, RAW)


def test_truncated_video(lab):
    path = lab / "videos_undist/2.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    refused_by_all(r"^\S*lab/videos_undist/2\.mp4: expected a whole video, got \d+ bytes that end")


def test_video_damaged_in_the_middle(lab):
    path = lab / "videos_undist/2.mp4"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    path.write_bytes(bytes(data))
    refused_by_all(r"lab/videos_undist/2\.mp4: expected .*, got damaged data after \d frames?\.")


def test_empty_video_file(lab):
    (lab / "videos_undist/2.mp4").write_bytes(b"")
    refused_by_all(r"lab/videos_undist/2\.mp4: expected a whole video, got an empty file\.")


def test_videos_of_different_length(lab):
    write_video("videos_undist/3.mp4", frames=FRAMES - 1)
    refused_by_all(r"videos_undist/3\.mp4: expected 4 frames like videos_undist/0\.mp4, got 3\.")


def test_mask_video_of_another_length(lab):
    write_video("simpleclick_undist/3.mp4", frames=FRAMES + 1)
    refused_by_all(r"simpleclick_undist/3\.mp4: expected 4 frames like .*, got 5\.")


def test_mask_video_of_another_size(lab):
    write_video("simpleclick_undist/1.mp4", height=64, width=72)
    refused_by_all(r"simpleclick_undist/1\.mp4: expected 144 x 128 px like .*, got 72 x 64\.")


@pytest.mark.parametrize("path", ["videos_undist/4.mp4", "simpleclick_undist/4.mp4"])
def test_missing_video(lab, path):
    (lab / path).unlink()
    refused_by_all(rf"lab/{path}: expected a (mask )?video of every camera, got no such file\.")


def test_camera_missing_from_the_calibration(lab):
    recalibrate(lambda cameras: cameras[:5])
    refused_by_all(r"lab: expected camera 5 in the calibration, got only \[0, 1, 2, 3, 4\]\.")


def test_missing_calibration_is_not_made_up(lab):
    (lab / "new_cam.pkl").unlink()
    refused_by_all(r"expected one active reader that knows .*lab, got none\.")
    named = sets("data.reader=markerless_mouse.recording")
    assert re.search(
        r"lab/new_cam\.pkl: .* No such file", refused("data", "inspect", "lab", *named)
    )


class Payload:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_malicious_pickle_is_not_run(lab):
    mark = Path("was_here").absolute()
    command = f"touch {mark}"
    os.system(command)
    assert mark.exists(), "the payload must work where it runs"
    mark.unlink()
    for payload in (Payload(os.system, command), [Payload(eval, f"open({str(mark)!r}, 'w')")]):
        (lab / "new_cam.pkl").write_bytes(pickle.dumps(payload))
        refused_by_all(r"lab/new_cam\.pkl: expected numpy arrays .* asks for '\S+'\. Nothing of it")
        assert not mark.exists()


def test_rotation_with_nan(lab):
    recalibrate(lambda cameras: cameras[2]["R"].__setitem__((0, 0), np.nan))
    refused_by_all(r"lab/new_cam\.pkl: camera 2\.R: expected finite numbers, got NaN")


def test_reflected_rotation(lab):
    recalibrate(lambda cameras: cameras[2]["R"].__setitem__(0, -cameras[2]["R"][0]))
    refused_by_all(r"new_cam\.pkl: camera 2\.R: expected a rotation with det \+1, got det -1\.")


def test_rotation_that_holds_a_scale(lab):
    recalibrate(lambda cameras: cameras[2].update(R=cameras[2]["R"] * 1.01))
    refused_by_all(r"new_cam\.pkl: camera 2\.R: expected a rotation, got rows .* by 0\.02")


def test_intrinsics_of_another_resolution(lab):
    """Those of the full frames, eight times as wide."""

    def full(cameras):
        for camera in cameras:
            camera["K"][:2] *= 8

    recalibrate(full)
    refused_by_all(r"camera 0\.K: expected the principal point .* of the 144 x 128 video, got \(\d")


def test_focal_lengths_of_another_resolution(lab):
    """With principal points that fit, only the outlines tell."""

    def focal(cameras):
        for camera in cameras:
            camera["K"][[0, 1], [0, 1]] *= 2

    recalibrate(focal)
    assert laws().keys() == {"MFL002"}
    assert certified() == (1, RAW | {"hull_coverage"})
    result = call(*PREPARE)
    assert "geometry  2 samples certified: 2 law; hull_coverage (2)" in result.stdout
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(r"out: expected no broken law, got 2 of 2 certified samples", line)
    assert Path("out/dataset.json").is_file()
    again = call(*PREPARE)
    assert (again.exit_code, again.stdout.splitlines()[0]) == (
        1, "samples   2 (0 made now, 2 were there already)"
    )  # fmt: skip


def metres(cameras):
    for camera in cameras:
        camera["T"] /= 1000


def test_calibration_in_metres(lab):
    """A law where nothing scales the world; where a normalizer does, the unit does not matter."""
    assert call(*PREPARE).exit_code == 0
    shutil.move("out", "in_mm")
    recalibrate(metres)
    assert certified() == (1, {"extent", "principal_point"})
    assert laws() == {}
    assert call(*PREPARE).exit_code == 0
    for name in ("frame_000000", "frame_000001"):
        one, other = (
            json.loads(Path(f"{folder}/{name}/opencv_cameras.json").read_text())["frames"]
            for folder in ("in_mm", "out")
        )
        for first, second in zip(one, other, strict=True):
            np.testing.assert_allclose(first["w2c"], second["w2c"], rtol=0, atol=1e-9)
            assert first["fx"] == pytest.approx(second["fx"], rel=1e-9)


def test_one_camera_in_metres(lab):
    recalibrate(lambda cameras: metres(cameras[2:3]))
    assert {"hull_coverage", "residual_px"} <= certified()[1]
    for command in (PREPARE, DOCTOR):
        message = refused(*command)
        assert (
            "videos_undist/2.mp4: frame 0: expected the subject in front of the camera" in message
        )


def test_poses_from_camera_to_world(lab):
    def inverted(cameras):
        for camera in cameras:
            camera["T"] = -camera["R"].T @ camera["T"]
            camera["R"] = camera["R"].T

    recalibrate(inverted)
    code, failures = certified()
    assert code == 1
    assert {"look_at", "hull_coverage", "residual_px"} <= failures
    assert "Check this camera's pose, its axes (OpenCV: z forward)" in refused(*DOCTOR)


def test_videos_of_two_cameras_swapped(lab):
    for folder in ("videos_undist", "simpleclick_undist"):
        swap(f"{folder}/0.mp4", f"{folder}/1.mp4")
    broken = laws()
    assert broken.keys() == {"MFL002"}
    assert float(broken["MFL002"].partition(" ")[0]) < 50
    assert certified() == (1, RAW | {"hull_coverage"})


def test_mask_videos_of_two_cameras_swapped(lab):
    swap("simpleclick_undist/0.mp4", "simpleclick_undist/1.mp4")
    assert laws().keys() == {"MFL002"}
    assert certified() == (1, RAW | {"hull_coverage"})


def test_empty_mask_video(lab):
    write_video("simpleclick_undist/1.mp4")
    for command in (PREPARE, DOCTOR):
        message = refused(*command)
        assert "videos_undist/1.mp4: frame 0: expected a mask that shows the subject" in message
        assert "got an empty one. Mend the mask, leave out this view or sample" in message
    code, failures = certified()
    assert code == 1
    assert "foreground" in failures


def test_mask_video_that_is_white(lab):
    write_video("simpleclick_undist/1.mp4", level=255)
    broken = laws()
    assert broken["MFL032"] == "mask covers 100.00 % of the picture"
    assert "foreground" in certified()[1]


def test_mask_videos_that_are_inverted(lab):
    for number in range(6):
        path = lab / f"simpleclick_undist/{number}.mp4"
        with VideoReader(path) as masks:
            frames = [255 - masks.frame(index) for index in range(FRAMES)]
        with Mp4Writer(path, fps=10, crf=8) as video:
            for frame in frames:
                video.add(frame)
    assert laws()
    code, failures = certified()
    assert code == 1
    assert {"foreground", "border_px"} <= failures


def test_an_empty_mask_of_one_frame_can_be_left_out(lab):
    path = lab / "simpleclick_undist/1.mp4"
    with VideoReader(path) as masks:
        frames = [masks.frame(index) for index in range(FRAMES)]
    frames[1] = np.zeros_like(frames[1])
    with Mp4Writer(path, fps=10, crf=8) as video:
        for frame in frames:
            video.add(frame)
    command = [*PREPARE, *sets("data.limit=null")]
    assert "sample frame_000001: " in refused(*command)
    result = call(*command, "--skip-bad", "1")
    assert result.exit_code == 0, result.stderr
    assert "left out  1 bad samples, listed in dataset.json" in result.stdout
    summary = json.loads(Path("out/dataset.json").read_text())
    assert "frame_000001" not in summary["samples"]
    (skipped,) = summary["skipped"]
    assert skipped["number"] == 2
    assert "expected a mask that shows the subject" in skipped["reason"]


def test_an_empty_mask_in_a_dataset_folder(empty_folder):
    samples = [render_sample("mice", index, rig="lab", size=96) for index in range(2)]
    write_dataset(samples, Path("lab"))
    path = Path("lab/mice-train-0-000000/images/cam_001.png")
    save_picture(path, load_picture(path).rgb, np.zeros((96, 96), np.uint8))
    result = call("doctor", "--data", "lab", "--json", *sets(*NORMALIZED[:4]))
    assert result.exit_code == 1
    (one,) = [one for one in json.loads(result.stdout)["findings"] if one["code"] == "MFL032"]
    assert (one["severity"], one["where"]) == ("law", "mice-train-0-000000/cam_001")
    assert one["value"] == "mask covers 0.00 % of the picture"
    message = refused("train", "--data", "lab", *sets(*NORMALIZED[:4]))
    assert message.startswith("doctor: expected no broken law, got MFL032 (1).")


@pytest.mark.parametrize("content", ["lab/gone\nlab/frame\n", "/mnt/localssd/rats/sample_000\n"])
def test_list_of_paths_that_do_not_exist(empty_folder, content):
    Path("list.txt").write_text(content)
    for command in COMMANDS:
        message = refused(*(word if word != "lab" else "list.txt" for word in command))
        if command is DOCTOR:  # it looks at every line, and counts
            assert message.startswith("list.txt:1: expected folders of samples, each once")
            first, *others = content.split()
            assert f"got {first}, which is no folder ({1 + len(others)} such)." in message
            continue
        assert "list.txt:1: expected a sample folder, got " in message
        assert message.endswith("which is not one. Entries are relative to the list file.")
