"""The reader of markerless mouse recordings: exact cameras and frames, and one line per fault."""

import io
import json
import os
import pickle
import pickletools
import shutil
from collections import OrderedDict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from mfl_adapt_markerless_mouse import register_components
from mfl_adapt_markerless_mouse.config import RecordingConfig
from mfl_adapt_markerless_mouse.files import can_read
from mfl_adapt_markerless_mouse.pickles import load_arrays
from mfl_adapt_markerless_mouse.reader import RecordingReader
from pydantic import ValidationError

from mfl_adapt.cameras.history import round_trip_px
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import load_picture
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.plugin import ReaderSpec
from mfl_adapt.synth.recording import write_recording

FRAMES = 8


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "mouse_7"
    recording = write_recording(folder, frames=FRAMES, fps=10, scale=0.125, true_masks=True)
    return folder, recording


@pytest.fixture
def folder(recorded, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(recorded[0], tmp_path / "mouse_7"))


def read(path, **settings):
    return RecordingReader(RecordingConfig(path=path, **settings))


def calibration(folder):
    return pickle.loads((folder / "new_cam.pkl").read_bytes())


def recalibrate(folder, content, protocol=4):
    (folder / "new_cam.pkl").write_bytes(pickle.dumps(content, protocol=protocol))


def write_video(path, frames=FRAMES, height=128, width=144, fps=10):
    path.parent.mkdir(exist_ok=True)
    with Mp4Writer(path, fps=fps, crf=20) as writer:
        for _ in range(frames):
            writer.add(np.full((height, width, 3), 90, np.uint8))


def test_cameras_are_those_that_filmed(recorded):
    folder, recording = recorded
    sample = read(folder)[3]
    assert [view.name for view in sample.views] == [f"cam_{index:03d}" for index in range(6)]
    np.testing.assert_allclose(sample.cameras.c2w, recording.cameras.c2w, rtol=0, atol=1e-9)
    np.testing.assert_allclose(sample.cameras.fxfycxcy, recording.cameras.fxfycxcy, atol=1e-9)
    truth = json.loads((folder / "truth.json").read_text())
    np.testing.assert_allclose(sample.cameras.centers, np.array(truth["c2w"])[:, :3, 3], atol=1e-9)
    assert round_trip_px(sample).max() < 1e-9


def test_masks_are_the_silhouettes(recorded):
    folder, recording = recorded
    sample = read(folder)[5]
    for number, view in enumerate(sample.views):
        assert set(np.unique(view.mask)) == {0, 255}
        true = load_picture(folder / f"true_masks/{number}/000005.png").rgb[..., 0] > 127
        # The outline of some 150 px is grey, and the codec moves a grey level at most a little.
        assert (true != (view.mask > 0)).sum() <= 5
        rendered = recording.render(5, recording.cameras[number])
        inside = rendered.alpha == 1
        difference = np.abs(view.rgb[inside] - 255 * rendered.rgb[inside])
        assert difference.mean() < 8  # colour at half resolution


def test_names_times_and_history(recorded):
    folder, _ = recorded
    reader = read(folder, animal="m7")
    assert len(reader) == len(list(reader)) == FRAMES
    sample = reader[-1]
    assert (sample.id, sample.session, sample.animal) == ("frame_000007", "mouse_7", "m7")
    assert sample.time_s == pytest.approx(0.7)
    assert sample.views[2].source == f"{folder}/videos_undist/2.mp4: frame 7"
    (step,) = sample.provenance
    assert step.step == "markerless_mouse.recording"
    assert step.params["frame"] == 7
    assert step.params["fps"] == 10.0
    assert step.params["videos"][2] == "videos_undist/2.mp4"
    assert step.params["masks"][5] == "simpleclick_undist/5.mp4"
    json.dumps(step.params)
    assert read(folder, fps=20)[-1].time_s == pytest.approx(0.35)
    assert read(folder, session="day 2")[0].session == "day 2"
    with pytest.raises(IndexError):
        reader[FRAMES]


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({"start": 2, "stop": 7, "every": 2}, [2, 4, 6]),
        ({"count": 3}, [0, 4, 7]),  # 3.5 rounds to even
        ({"count": 1, "start": 5}, [5]),
        ({"count": 2, "skip": (0, 7)}, [1, 6]),
        ({"skip": (1, 2, 3), "every": 3}, [0, 6]),
    ],
)
def test_frames_can_be_chosen(recorded, settings, frames):
    samples = read(recorded[0], **settings)
    assert [sample.id for sample in samples] == [f"frame_{frame:06d}" for frame in frames]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": 8}, "start within the 8 frames of the videos, got frame 8"),
        ({"stop": 9}, "stop within the 8 frames of the videos, got frame 8"),
        ({"skip": (3, 5900)}, "skip within the 8 frames .* got frame 5900"),
        ({"count": 9}, "9 frames from 0 to 7 without skip, got only 8"),
        ({"start": 3, "stop": 4, "skip": (3,)}, "1 frames from 3 to 3 without skip, got only 0"),
    ],
)
def test_frames_that_are_not_there_are_refused(recorded, settings, message):
    with pytest.raises(DataError, match=message):
        read(recorded[0], **settings)


@pytest.mark.parametrize(
    "settings",
    [{"count": 3, "every": 2}, {"start": 5, "stop": 5}, {"cameras": (1, 1)}, {"stride": 5}],
)
def test_settings_that_contradict_are_refused(settings):
    with pytest.raises(ValidationError):
        RecordingConfig(**settings)


def test_a_path_is_needed():
    with pytest.raises(ConfigError, match="--data PATH"):
        read(None)


def test_cameras_can_be_chosen(recorded):
    folder, recording = recorded
    sample = read(folder, cameras=(4, 1))[0]
    assert [view.name for view in sample.views] == ["cam_004", "cam_001"]
    np.testing.assert_allclose(sample.cameras.c2w, recording.cameras.c2w[[4, 1]], atol=1e-9)


def test_masks_can_be_left_to_a_preprocessor(folder):
    shutil.rmtree(folder / "simpleclick_undist")
    sample = read(folder, masks="none")[0]
    assert all(view.mask is None for view in sample.views)
    assert sample.provenance[0].params["masks"] == []


def test_threshold_decides_over_grey(folder):
    write_video(folder / "simpleclick_undist/0.mp4")
    assert read(folder, cameras=(0,))[0].views[0].mask.max() == 0
    assert read(folder, cameras=(0,), mask_threshold=60)[0].views[0].mask.min() == 255


def test_pixel_centres(recorded):
    folder, recording = recorded
    half = read(folder, pixel_centers="half")[0].cameras.fxfycxcy
    np.testing.assert_allclose(half, recording.cameras.fxfycxcy - [0, 0, 0.5, 0.5], atol=1e-9)


def test_a_pickled_reader_reads_the_same(recorded):
    reader = read(recorded[0])
    expected = reader[2]
    copy = pickle.loads(pickle.dumps(reader))
    assert copy[2].provenance[0].digest == expected.provenance[0].digest


def test_skew_is_undone(folder):
    cameras = calibration(folder)
    plain = read(folder)[0]
    for camera in cameras:
        camera["K"][0, 1] = 60.0
    recalibrate(folder, cameras)
    sample = read(folder)[0]
    assert sample.provenance[0].raw_cameras[0].skew == 60.0
    assert round_trip_px(sample).max() < 1e-9
    # x = ... + skew * y / f: rows below the principal point move left by 60 px per focal length.
    _, fy, _, cy = plain.views[0].fxfycxcy
    before, after = (np.argwhere(one.views[0].mask > 127).mean(axis=0) for one in (plain, sample))
    assert after[1] - before[1] == pytest.approx(-60.0 * (before[0] + 0.5 - cy) / fy, abs=0.1)
    assert abs(after[1] - before[1]) > 0.5


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("shape", [(3, 1), (3,), (1, 3)])
def test_pickles_of_all_protocols(folder, recorded, protocol, shape):
    cameras = calibration(folder)
    for camera in cameras:
        camera["T"] = np.asfortranarray(camera["T"].reshape(shape))
        camera["K"] = camera["K"].astype(">f8")
    recalibrate(folder, OrderedDict(enumerate(cameras)), protocol)
    read_back = read(folder, cameras=(2, 3))[0].cameras.c2w
    np.testing.assert_allclose(read_back, recorded[1].cameras.c2w[2:4], atol=1e-9)


@pytest.mark.parametrize("rename", [str, np.int64, "{:02d}".format])
def test_cameras_by_number(folder, recorded, rename):
    cameras = calibration(folder)
    recalibrate(folder, {rename(index): camera for index, camera in enumerate(cameras)})
    sample = read(folder)[0]
    np.testing.assert_allclose(sample.cameras.c2w, recorded[1].cameras.c2w, atol=1e-9)


def test_pickles_of_numpy_1_and_python_2(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    # Protocol 2 spells bytes as text; numpy 1 called its module numpy.core.
    old = pickle.dumps({"R": values, "n": np.float32(2.5)}, protocol=2)
    old = old.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "old.pkl").write_bytes(old)
    found = load_arrays(tmp_path / "old.pkl")
    np.testing.assert_array_equal(found["R"], values)
    assert found["n"] == 2.5
    # Python 2, written by hand: byte strings (T, U) for the dtype's code, the order and the data.
    data = values.astype("<f8").tobytes()
    two = io.BytesIO()
    two.write(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01bt")
    two.write(b"R(K\x01K\x02K\x03\x86cnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03U\x01<NNN")
    two.write(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(data)]) + data)
    two.write(b"tb.")
    (tmp_path / "two.pkl").write_bytes(two.getvalue())
    np.testing.assert_array_equal(load_arrays(tmp_path / "two.pkl"), values)


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(mark):
    command = f"touch {mark}"
    yield "posix.system", Call(os.system, command)
    yield "builtins.eval", Call(eval, f"open({str(mark)!r}, 'w')")
    yield "builtins.getattr", [{"R": Call(getattr, 7, "real")}]
    yield "numpy.memmap", Call(np.memmap, "notes.npy")
    yield (
        "subprocess.Popen",
        {0: (1, Call(import_module("subprocess").Popen, ["touch", str(mark)]))},
    )
    yield "pathlib.", [Path(mark)]


def test_a_malicious_pickle_is_refused_and_not_run(folder, tmp_path):
    mark = tmp_path / "was_here"
    for name, content in attacks(mark):
        for protocol in (0, 2, 4, 5):
            recalibrate(folder, content, protocol)
            with pytest.raises(DataError) as caught:
                read(folder)
            message = str(caught.value)
            if protocol > 2:  # older protocols call Python 2's names
                assert f"a pickle that asks for '{name}" in message
            assert "new_cam.pkl: expected numpy arrays and plain containers" in message
            assert "\n" not in message
            assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pickle.dumps([1, 2, 3])[:-4],
        pickletools.optimize(pickle.dumps(np.zeros((3, 3)))).replace(b"\x03", b"\x7f"),
        pickle.dumps(np.array([{}, None], dtype=object)),
        pickle.dumps(np.zeros(3, dtype=[("a", "f8")])),
        b"\x80\x04cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR(I5\nX\x01\x00\x00\x00<tb.",
        b"\x80\x04Nb.",
        b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"cnumpy\nndarray\n" * 3 + b"b.",
    ],
)
def test_a_damaged_pickle_gives_one_line(folder, content):
    (folder / "new_cam.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"new_cam\.pkl: ") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def change(key, value):
    def edit(cameras):
        cameras[1][key] = value

    return edit


def scaled(key, factor):
    def edit(cameras):
        cameras[1][key] = cameras[1][key] * factor

    return edit


def reflected(cameras):
    cameras[1]["R"][0] *= -1


def not_finite(key):
    def edit(cameras):
        cameras[1][key][0, 0] = np.nan

    return edit


def transposed(cameras):
    cameras[1]["K"] = cameras[1]["K"].T


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (reflected, r"camera 1\.R: expected a rotation with det \+1, got det -1"),
        (not_finite("R"), r"camera 1\.R: expected finite numbers, got NaN"),
        (not_finite("T"), r"camera 1\.T: expected finite numbers, got NaN"),
        (scaled("R", 1.1), r"camera 1\.R: expected a rotation, got .* orthonormal by 0\.21"),
        (change("T", [1.0, 2.0]), r"camera 1\.T: expected 3 numbers, got \[1\.0, 2\.0\]"),
        (change("R", None), r"camera 1\.R: expected 3 x 3 numbers, got None"),
        (transposed, r"camera 1\.K: expected \[\[fx, skew, cx\].*MATLAB"),
        (scaled("K", -1), r"camera 1\.K: expected \[\[fx, skew, cx\]"),
        (lambda cameras: cameras[1].pop("K"), r"camera 1: expected R, T and K, got R, T\. Add K"),
        (lambda cameras: cameras.__setitem__(1, 7), r"camera 1: expected R, T and K, got 7"),
        (lambda cameras: cameras.clear(), r"expected a list of cameras.*got None"),
    ],
)
def test_a_wrong_calibration_gives_one_line(folder, edit, message):
    cameras = calibration(folder)
    edit(cameras)
    recalibrate(folder, cameras)
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"front": {}}, "cameras by number, like their videos, got 'front'"),
        ({0: {}, "0": {}}, "every camera once, got camera 0 twice"),
        ("cameras", "a list of cameras, or a mapping from their numbers, got 'cameras'"),
    ],
)
def test_cameras_that_name_no_video(folder, content, message):
    recalibrate(folder, content)
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0])
def test_k_of_another_resolution(folder, factor):
    cameras = calibration(folder)
    for camera in cameras:
        camera["K"][:2] *= factor
    recalibrate(folder, cameras)
    with pytest.raises(DataError, match=r"camera 0\.K: expected the principal point within 0\.2 "):
        read(folder)
    assert len(read(folder, off_center=1.0)) == FRAMES


def test_missing_files(folder):
    (folder / "videos_undist/3.mp4").rename(folder / "videos_undist/6.mp4")
    with pytest.raises(DataError, match=r"expected camera 6 in the calibration, got only \[0, 1"):
        read(folder)
    (folder / "videos_undist/6.mp4").unlink()
    with pytest.raises(DataError, match=r"undist/3\.mp4: expected a video of every camera, got no"):
        read(folder)
    (folder / "simpleclick_undist/5.mp4").unlink()
    with pytest.raises(DataError, match=r"click_undist/5\.mp4: expected a mask video of every cam"):
        read(folder, cameras=(4, 5))
    with pytest.raises(DataError, match=r"expected camera 9 in the calibration"):
        read(folder, cameras=(9,))
    (folder / "new_cam.pkl").unlink()
    with pytest.raises(DataError, match=r"new_cam\.pkl: expected a calibration, got No such file"):
        read(folder)
    with pytest.raises(DataError, match=r"gone: expected the folder of a recording, got no such"):
        read(folder / "gone")


def test_videos_that_do_not_fit_together(folder):
    write_video(folder / "videos_undist/4.mp4", frames=FRAMES - 1)
    with pytest.raises(DataError, match=r"undist/4\.mp4: expected 8 frames like videos_undist/0\."):
        read(folder)
    write_video(folder / "videos_undist/4.mp4", fps=12)
    with pytest.raises(DataError, match=r"undist/4\.mp4: expected 10 frames per second like"):
        read(folder)
    assert len(read(folder, fps=10)) == FRAMES
    write_video(folder / "simpleclick_undist/2.mp4", frames=FRAMES + 2)
    with pytest.raises(DataError, match=r"click_undist/2\.mp4: expected 8 frames like .*, got 10"):
        read(folder, fps=10)
    write_video(folder / "simpleclick_undist/2.mp4", height=64, width=72)
    with pytest.raises(
        DataError, match=r"click_undist/2\.mp4: expected 144 x 128 px like .*72 x 6"
    ):
        read(folder, fps=10)


def test_a_truncated_video(folder):
    file = folder / "videos_undist/2.mp4"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"videos_undist/2\.mp4: expected a whole video, got"):
        read(folder)


def test_can_read(folder, tmp_path):
    assert can_read(folder)
    assert not can_read(tmp_path)
    assert not can_read(folder / "new_cam.pkl")
    assert not can_read(Path("bad\0name"))
    (folder / "new_cam.pkl").write_bytes(b"never opened")
    assert can_read(folder)
    (folder / "new_cam.pkl").unlink()
    assert not can_read(folder)


def test_what_the_plugin_offers():
    (spec,) = register_components()
    assert isinstance(spec, ReaderSpec)
    assert spec.name == "recording"
    for reference in (spec.build, spec.can_read):
        module, attribute = reference.split(":")
        assert hasattr(import_module(module), attribute)
