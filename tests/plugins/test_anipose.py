"""The reader of Anipose's recordings: calibration, videos, masks, one line per broken input."""

import pickle

import cv2
import mfl_adapt_anipose
import numpy as np
import pytest
from mfl_adapt_anipose.config import VideosConfig
from mfl_adapt_anipose.discover import can_read
from mfl_adapt_anipose.reader import VideosReader
from raw_pictures import (
    BROWN,
    FISHEYE,
    HEIGHT,
    WIDTH,
    check_cameras,
    check_round_trip,
    check_straightened,
    take_shots,
    through_lens,
)

from mfl_adapt.cameras import history
from mfl_adapt.checks import check_settings
from mfl_adapt.errors import ConfigError, DataError

SHOTS = take_shots(3)
FRAMES = 5


def read(path, **settings):
    return VideosReader(VideosConfig(path=path, **settings))


def section(index, shot, distortions, *, fisheye=None, name=None):
    """A camera as aniposelib writes it; OpenCV's principal point is half a pixel smaller."""
    w2c = np.linalg.inv(shot.c2w)
    rotation = cv2.Rodrigues(w2c[:3, :3])[0].ravel().tolist()
    fx, fy, cx, cy = shot.fxfycxcy.tolist()
    lines = [
        f"[cam_{index}]",
        f'name = "{name or "ABC"[index]}"',
        f"size = [ {WIDTH}, {HEIGHT},]",
        f"matrix = [ [ {fx!r}, 0.0, {cx - 0.5!r},], [ 0.0, {fy!r}, {cy - 0.5!r},],"
        " [ 0.0, 0.0, 1.0,],]",
        f"distortions = {[float(value) for value in distortions]}",
        f"rotation = {rotation}",
        f"translation = {w2c[:3, 3].tolist()}",
    ]
    return lines if fisheye is None else [*lines, f"fisheye = {str(fisheye).lower()}"]


def write_calibration(file, distortions=BROWN, **settings):
    lines = []
    for index, shot in enumerate(SHOTS):
        lines += [*section(index, shot, distortions, **settings), ""]
    lines += ["[metadata]", "adjusted = false", "error = 0.4"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def write_video(path, pictures):
    """Motion JPEG, which loses little and whose every frame is a keyframe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (width, height))
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 100)
    assert writer.isOpened()
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
    writer.release()


def grey(level, height=HEIGHT, width=WIDTH):
    return np.full((height, width, 3), level, np.uint8)


def levels(count=FRAMES):
    """Frame i has the grey value 20 + 40 i."""
    return [grey(20 + 40 * index) for index in range(count)]


def session(folder, *, trials=("run",), distortions=(0,) * 5, masks=False, **settings):
    write_calibration(folder / "calibration/calibration.toml", distortions, **settings)
    for trial in trials:
        for name in "ABC":
            write_video(folder / f"videos-raw/{trial}-cam{name}.avi", levels())
            if masks:
                white = grey(0)
                white[10:30, 20:40] = 255
                write_video(folder / f"masks/{trial}-cam{name}.avi", [white] * FRAMES)
    return folder


def test_frames_of_trials(tmp_path):
    reader = read(session(tmp_path / "mon", trials=("run", "rest")))
    assert len(reader) == 2 * FRAMES
    samples = list(reader)
    assert [sample.id for sample in samples[4:6]] == ["mon/rest/000004", "mon/run/000000"]
    assert {sample.session for sample in samples} == {"mon/rest", "mon/run"}
    for sample in samples:
        index = int(sample.id[-6:])
        assert sample.time_s == pytest.approx(index / 25.0)
        assert [view.name for view in sample.views] == ["A", "B", "C"]
        assert all(view.mask is None for view in sample.views)
        for view in sample.views:
            assert abs(view.rgb.mean() - (20 + 40 * index)) < 2
        check_cameras(sample, SHOTS)
    assert samples[3].views[1].source.endswith("rest-camB.avi: frame 3")
    step = samples[3].provenance[0]
    assert (step.step, step.params["frame"]) == ("anipose.videos", 3)
    # Out of order, and from the end.
    assert reader[-1].id == "mon/run/000004"
    assert abs(reader[1].views[0].rgb.mean() - 60) < 2
    with pytest.raises(IndexError):
        reader[10]


@pytest.mark.parametrize(
    ("given", "settings", "lens", "values"),
    [
        (BROWN, {}, "brown", BROWN),
        (BROWN[:4], {"fisheye": False}, "brown", BROWN[:4]),
        ((*BROWN, 0.01, 0.02, -0.01), {}, "brown", (*BROWN, 0.01, 0.02, -0.01)),
        ((0,) * 5, {}, "pinhole", ()),
        (FISHEYE, {"fisheye": True}, "fisheye", FISHEYE),
        ((0,) * 4, {"fisheye": True}, "fisheye", (0,) * 4),
    ],
)
def test_lenses(tmp_path, given, settings, lens, values):
    folder = session(tmp_path, distortions=given, **settings)
    sample = read(folder)[2]
    raw = sample.provenance[0].raw_cameras
    assert {(camera.lens, camera.distortion) for camera in raw} == {(lens, values)}
    check_cameras(sample, SHOTS)
    check_round_trip(sample, SHOTS, lens, np.array(values, np.float64))


def test_distortion_is_undone_exactly_once(tmp_path):
    pictures = [through_lens(shot, "brown", BROWN) for shot in SHOTS]
    write_calibration(tmp_path / "calibration.toml")
    for name, (rgb, mask) in zip("ABC", pictures, strict=True):
        write_video(tmp_path / f"{name}.avi", [rgb])
        write_video(tmp_path / f"masks/{name}.avi", [np.repeat(mask[:, :, None], 3, axis=2)])
    sample = read(tmp_path, masks="masks/{camera}.avi")[0]
    # A mask video has no partial pixels, so that it loses parts of the tail, one pixel thin.
    hard = [shot._replace(mask=np.where(shot.mask > 127, 255, 0)) for shot in SHOTS]
    check_straightened(sample, hard, [mask > 127 for _, mask in pictures], px=0.3, iou=0.9)


def test_the_principal_point_moves_by_half_a_pixel(tmp_path):
    """OpenCV's middle of 84 x 60 pixels is (41.5, 29.5); ours is (42, 30)."""
    folder = session(tmp_path)
    file = folder / "calibration/calibration.toml"
    cx, cy = (SHOTS[0].fxfycxcy[2:] - 0.5).tolist()
    file.write_text(file.read_text().replace(repr(cx), "41.5").replace(repr(cy), "29.5"))
    assert read(folder)[0].views[0].fxfycxcy[2:].tolist() == [WIDTH / 2, HEIGHT / 2]


def test_skew_goes_with_the_lens(tmp_path):
    folder = session(tmp_path)
    file = folder / "calibration/calibration.toml"
    file.write_text(file.read_text().replace("[ [ 72.0, 0.0,", "[ [ 72.0, 0.7,"))
    sample = read(folder)[0]
    assert [camera.skew for camera in sample.provenance[0].raw_cameras] == [0.7, 0.0, 0.0]
    check_cameras(sample, SHOTS)
    assert history.round_trip_px(sample).max() < 1e-4


def test_readers_travel_to_other_processes(tmp_path):
    reader = read(session(tmp_path))
    first = reader[2]
    again = pickle.loads(pickle.dumps(reader))[2]
    assert again.provenance == first.provenance


def test_masks(tmp_path):
    sample = read(session(tmp_path, masks=True), masks="masks/{trial}-cam{camera}.avi")[1]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[10:30, 20:40] = True
    for view in sample.views:
        assert set(np.unique(view.mask)) == {0, 255}
        assert ((view.mask > 0) != expected).sum() <= 80  # along the 80 px of outline


def test_which_frames_and_cameras(tmp_path):
    folder = session(tmp_path / "s")
    samples = list(read(folder, start=1, every=2, cameras=["C", "A"]))
    assert [sample.id for sample in samples] == ["s/run/000001", "s/run/000003"]
    check_cameras(samples[0], [SHOTS[2], SHOTS[0]])
    assert len(read(folder, stop=3)) == 3
    with pytest.raises(DataError, match=r"expected stop within the 5 frames, got 6"):
        read(folder, stop=6)
    with pytest.raises(DataError, match=r"expected frames from start 5 to stop 5, got none"):
        read(folder, start=5)
    with pytest.raises(DataError, match=r"expected a camera of the calibration, got 'D'\. Known"):
        read(folder, cameras=["D"])
    with pytest.raises(DataError, match=r"every camera once, got A, A"):
        read(folder, cameras=["A", "A"])


def test_cropped_videos(tmp_path):
    write_calibration(tmp_path / "calibration.toml", (0,) * 5)
    for name in "ABC":
        write_video(tmp_path / f"{name}.avi", [grey(9, 40, 50)])
    with pytest.raises(DataError, match=r"A\.avi: expected the calibrated size, 84 x 60 px, got 5"):
        read(tmp_path)
    offsets = {"A": (4, 6), "B": (0, 0), "C": (30, 20)}
    for view, shot, offset in zip(
        read(tmp_path, offsets=offsets)[0].views, SHOTS, offsets.values(), strict=True
    ):
        np.testing.assert_allclose(view.fxfycxcy[2:], shot.fxfycxcy[2:] - offset, atol=1e-9)
        assert (view.height, view.width) == (40, 50)
    with pytest.raises(DataError, match=r"got 'cam'"):
        read(tmp_path, offsets={"cam": (0, 0)})


def test_layouts(tmp_path):
    project = tmp_path / "project"
    write_calibration(project / "calibration/calibration.toml", (0,) * 5)
    for name in "ABC":
        write_video(project / f"calibration/board-cam{name}.avi", levels(1))
    for day in ("mon", "tue"):
        for name in "ABC":
            write_video(project / day / f"videos-raw/x-cam{name}.avi", levels(1))
    expected = ["mon/x/000000", "tue/x/000000"]
    for path in (project, project / "calibration/calibration.toml"):
        assert [sample.id for sample in read(path)] == expected
    assert [sample.id for sample in read(project / "mon")] == expected[:1]
    both = tmp_path / "both"
    for name in ("b", "a"):
        session(both / name)
    assert [one.id for one in read(both, stop=1)] == ["a/run/000000", "b/run/000000"]
    custom = tmp_path / "custom"
    write_calibration(custom / "rig.toml", (0,) * 5)
    for name in "ABC":
        write_video(custom / f"{name}/day_1_{name}_raw.avi", levels(1))
    settings = {"calibration": "rig.toml", "videos": "{camera}/{trial}_{camera}_*.avi"}
    assert [one.id for one in read(custom, **settings)] == ["custom/day_1/000000"]


@pytest.mark.parametrize("pattern", ["videos/*.avi", "{camera}/{cam}.avi"])
def test_patterns_are_checked(pattern):
    with pytest.raises(ConfigError, match=r"videos: expected a pattern with \{camera\} and per"):
        check_settings(VideosConfig, {"videos": pattern}, "data")


def test_can_read(tmp_path):
    session(tmp_path / "set/s")
    (tmp_path / "other.toml").write_text("[project]\n")
    (tmp_path / "binary.toml").write_bytes(bytes(range(256)))
    (tmp_path / "none").mkdir()
    known = ["set", "set/s", "set/s/calibration/calibration.toml"]
    unknown = ["other.toml", "binary.toml", "none", "missing"]
    assert [can_read(tmp_path / name) for name in known] == [True] * 3
    assert [can_read(tmp_path / name) for name in unknown] == [False] * 4


def replace(old, new):
    return lambda text: text.replace(old, new, 1)


def line(start, new):
    """Replace the first line with this start."""

    def edit(text):
        lines = text.splitlines()
        place = next(index for index, one in enumerate(lines) if one.startswith(start))
        lines[place] = new
        return "\n".join(lines)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (line("rotation", "rotation = [nan, 0.0, 0.0]"), r"\[cam_0\]\.rotation: expected finite"),
        (line("rotation", "rotation = [0.0, 0.0]"), r"\[cam_0\]\.rotation: expected 3 numbers"),
        (line("translation", ""), r"\[cam_0\]: expected key 'translation', got only distortions"),
        (
            line("distortions", "distortions = [0.1, 0.2]"),
            r"expected 4, 5 or 8 coefficients .*got 2",
        ),
        (
            line("distortions", "distortions = 'fov'"),
            r"distortions: expected any numbers, got 'fov",
        ),
        (line("size", "size = [84.5, 60]"), r"\[cam_0\]\.size: expected width and height in whole"),
        (line("size", "size = [42, 30]"), r"camA\.avi: expected the calibrated size, 42 x 30 px"),
        (replace("[ 0.0, 0.0, 1.0,]", "[ 0.0, 0.0, 2.0,]"), r"matrix: expected \[\[fx, skew, cx\]"),
        (replace("[ [ 72.0", "[ [ -72.0"), r"matrix: expected .* with positive fx and fy, got"),
        (line("matrix", "matrix = [[1.0]]"), r"\[cam_0\]\.matrix: expected 3 x 3 numbers, got"),
        (replace('name = "B"', 'name = "A"'), r"\[cam_1\]: expected every name once, got 'A'"),
        (replace('name = "B"', 'name = "D"'), r"trial run: expected a video of every .* none of D"),
        (line("size", "size = [84, 60]\nfisheye = 1"), r"fisheye: expected true or false, got 1"),
        (
            line("size", "fisheye = true\nsize = [84, 60]"),
            r"expected 4 coefficients k1 k2 k3 k4 of",
        ),
        (line("[cam_0]", "lens = 3\n[cam_0]"), r"\[lens\]: expected a section of a camera, got 3"),
        (line("[cam_0]", "[cam_0"), r"calibration\.toml: expected TOML, got"),
        (
            lambda text: "[metadata]\n",
            r"expected sections of cameras \(\[cam_0\] \.\.\.\), got none",
        ),
    ],
)
def test_broken_calibrations(tmp_path, edit, message):
    folder = session(tmp_path)
    file = folder / "calibration/calibration.toml"
    file.write_text(edit(file.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        read(folder)[0]
    assert "\n" not in str(caught.value)


def test_broken_videos(tmp_path):
    folder = session(tmp_path, masks=True)
    pattern = "masks/{trial}-cam{camera}.avi"
    write_video(folder / "masks/run-camB.avi", [grey(0, 30, 42)] * FRAMES)
    with pytest.raises(DataError, match=r"masks/run-camB\.avi: expected the size of its video, 84"):
        read(folder, masks=pattern)
    write_video(folder / "masks/run-camB.avi", [grey(0)] * 3)
    with pytest.raises(DataError, match=r"one length, got 3 frames in run-camB\.avi and 5 in run-"):
        read(folder, masks=pattern)
    assert len(read(folder, masks=pattern, stop=3)) == 3
    (folder / "masks/run-camB.avi").unlink()
    with pytest.raises(DataError, match=r"expected a mask video of every camera, got none of B"):
        read(folder, masks=pattern)
    write_video(folder / "videos-raw/run-camC.avi", levels(4))
    with pytest.raises(DataError, match=r"one length, got 4 frames in run-camC\.avi and 5 in run-"):
        read(folder)
    video = folder / "videos-raw/run-camC.avi"
    video.rename(video.with_suffix(".mp4"))
    write_video(video, levels())
    with pytest.raises(
        DataError, match=r"one file of camera C, got run-camC\.avi and run-camC\.mp"
    ):
        read(folder)
    video.with_suffix(".mp4").unlink()
    video.unlink()
    with pytest.raises(DataError, match=r"expected a video of every camera, got none of C"):
        read(folder)
    video.write_bytes(b"")
    with pytest.raises(DataError, match=r"run-camC\.avi: expected a whole video, got an empty fi"):
        read(folder)


def test_broken_paths(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a dataset under data\.path, got none"):
        VideosReader(VideosConfig())
    with pytest.raises(DataError, match=r"gone: expected an Anipose session, got no such path"):
        read(tmp_path / "gone")
    with pytest.raises(DataError, match=r"expected calibration\.toml or calibration/calib"):
        read(tmp_path)
    write_calibration(tmp_path / "calibration.toml")
    with pytest.raises(
        DataError, match=r"expected videos of cameras A, B, C as videos-raw/\{trial"
    ):
        read(tmp_path)


def test_the_offered_component():
    (spec,) = mfl_adapt_anipose.register_components()
    assert (spec.name, spec.needs_path) == ("videos", True)
    assert spec.config is VideosConfig
    assert spec.build == f"{VideosReader.__module__}:VideosReader"
    assert spec.can_read == f"{can_read.__module__}:can_read"
