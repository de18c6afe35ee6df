"""Procedural recordings: the published rig, a smooth walk, and files that hold the truth."""

import json
import pickle

import numpy as np
import pytest
from brute_force import trace

from mfl_adapt.cameras import project
from mfl_adapt.cameras.triangulation import triangulate
from mfl_adapt.errors import RangeError, StorageError
from mfl_adapt.images import load_picture, measure_foreground
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.images.video import VideoReader
from mfl_adapt.synth import render_view
from mfl_adapt.synth.arena import HABITAT_MM, draw_arena, raw_lab_rig
from mfl_adapt.synth.ellipsoids import Ellipsoid
from mfl_adapt.synth.recording import make_recording, write_recording
from mfl_adapt.synth.walk import bend

# Mean distance of the rig's cameras over FaceLift's 2.7 units.
MM_PER_NORMALIZED = 331.4 / 2.7


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording")
    seen = []
    recording = write_recording(
        folder,
        frames=4,
        seed=3,
        fps=5,
        scale=0.125,
        true_masks=True,
        on_frame=lambda done, total: seen.append((done, total)),
    )
    return folder, recording, seen


def test_the_rig_is_the_published_one():
    rig = raw_lab_rig()
    assert (rig.height, rig.width) == (1024, 1152)
    distances = np.linalg.norm(rig.centers, axis=-1)
    np.testing.assert_allclose(distances, [246.1, 414.5, 363.7, 340.0, 318.3, 305.7])
    azimuths = np.degrees(np.arctan2(rig.centers[:, 1], rig.centers[:, 0]))
    np.testing.assert_allclose(azimuths, [-147.0, 34.0, 86.1, -11.3, 144.0, -64.1])
    assert np.argsort(azimuths).tolist() == [0, 5, 3, 1, 2, 4]
    np.testing.assert_allclose(np.linalg.det(rig.c2w[:, :3, :3]), 1.0)
    origin, _ = project(np.zeros((1, 3)), rig.c2w[0], rig.fxfycxcy[0])
    np.testing.assert_allclose(origin[0], [673, 951], atol=1)
    np.testing.assert_allclose(rig.fxfycxcy[0], [1632.3, 1639.3, 601.36, 491.22])


def test_the_optical_axes_nearly_meet_off_the_origin():
    rig = raw_lab_rig()
    # The point with the least squared distance from all axes.
    across = np.eye(3) - rig.forward[:, :, None] * rig.forward[:, None, :]
    point = np.linalg.solve(across.sum(axis=0), (across @ rig.centers[:, :, None]).sum(axis=0))
    assert np.linalg.norm(point) / MM_PER_NORMALIZED == pytest.approx(0.55, abs=0.01)
    misses = np.linalg.norm(
        across @ (np.array(HABITAT_MM)[:, None] - rig.centers[:, :, None]), axis=1
    )
    assert misses[0] < 0.01
    assert (misses[1:] > 3).all()
    off_center = np.abs(rig.fxfycxcy[:, 2:] - [576, 512])
    assert (off_center.max(axis=1) > 5).all()
    tilt = np.degrees(np.arcsin(rig.c2w[:, 2, 0]))  # of the picture's x axis
    assert np.ptp(tilt) > 2


def test_a_smaller_rig_shows_the_same():
    points = np.array(HABITAT_MM) + np.random.default_rng(0).normal(0, 20, (5, 3))
    large, _ = project(points, raw_lab_rig().c2w, raw_lab_rig().fxfycxcy)
    small_rig = raw_lab_rig(0.25)
    small, _ = project(points, small_rig.c2w, small_rig.fxfycxcy)
    assert (small_rig.height, small_rig.width) == (256, 288)
    np.testing.assert_allclose(small * 4, large)


def test_the_arena_is_not_white():
    for camera in raw_lab_rig(0.0625):
        arena = draw_arena(camera)
        assert arena.shape == (64, 72, 3)
        assert arena.min() > 0.1
        assert arena.max() < 0.75
        assert arena.std(axis=(0, 1)).min() > 0.005


def test_the_mouse_walks_smoothly():
    recording = make_recording(frames=60, seed=5, fps=25)
    places = np.array([recording.subject(frame) for frame in range(60)])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.min() > 0.5
    assert steps.max() < 3.5  # 45 mm/s at 25 frames per second is 1.8 mm
    headings = np.radians([recording.walk.heading_deg(frame / 25) for frame in range(60)])
    ahead = np.stack([np.cos(headings), np.sin(headings)], axis=1)[1:-1]
    chords = places[2:, :2] - places[:-2, :2]
    cosines = (ahead * chords).sum(axis=1) / np.linalg.norm(chords, axis=1)
    assert cosines.min() > 0.99
    parts = [recording.ellipsoids(frame) for frame in range(60)]
    centers = np.array([[part.center for part in frame] for frame in parts])
    assert np.linalg.norm(np.diff(centers, axis=0), axis=-1).max() < 20
    low = min(p.center[2] - np.sqrt(p.rotation[2] ** 2 @ p.radii**2) for p in parts[30])
    assert low == pytest.approx(48.0)  # the feet stay on the floor


def test_the_nose_leads():
    recording = make_recording(frames=9, seed=2, fps=4)
    for frame in range(9):
        centers = {part.name: part.center for part in recording.ellipsoids(frame)}
        heading = np.radians(recording.walk.heading_deg(frame / 4))
        ahead = (centers["nose"] - recording.subject(frame))[:2]
        assert ahead @ [np.cos(heading), np.sin(heading)] > 10


def test_bending_is_an_arc():
    line = [
        Ellipsoid("part", np.array([x, 0.0, 0.0]), np.ones(3), (0.5, 0.5, 0.5))
        for x in (-3.0, -2.0, 0.0, 2.0, 3.0)
    ]
    bent = bend(line, 180.0, (-2.0, 2.0))
    centers = np.array([part.center for part in bent])
    radius = 4.0 / np.pi  # a half circle as long as the spine
    expected = [[-radius, radius + 1], [-radius, radius], [0, 0], [radius, radius]]
    np.testing.assert_allclose(centers[:4, :2], expected, atol=1e-12)
    np.testing.assert_allclose(centers[4, :2], [radius, radius + 1], atol=1e-12)
    np.testing.assert_allclose(bent[4].rotation[:, 0], [0, 1, 0], atol=1e-12)
    straight = bend(line, 0.0, (-2.0, 2.0))
    np.testing.assert_allclose([part.center for part in straight], [part.center for part in line])


def test_cropping_changes_no_pixel():
    recording = make_recording(frames=2, seed=1, scale=0.0625)
    camera = recording.cameras[4]
    parts = recording.ellipsoids(1)
    size = {"height": camera.height, "width": camera.width}
    whole = render_view(parts, camera.c2w, camera.fxfycxcy, **size, samples=2)
    cropped = recording.render(1, camera, samples=2)
    for one, other in zip(cropped, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    alpha, _, _ = trace(parts, camera.c2w, camera.fxfycxcy, **size, samples=2)
    np.testing.assert_array_equal(cropped.alpha, alpha)


def test_all_of_the_mouse_is_in_all_pictures():
    for seed in range(3):
        recording = make_recording(frames=3, seed=seed, fps=1.7, scale=0.0625)
        for frame in range(3):
            for camera in recording.cameras:
                alpha = recording.render(frame, camera, samples=1).alpha
                found = measure_foreground((alpha * 255).astype(np.uint8))
                assert found.touched == ()
                assert 0.01 < found.share < 0.2


def test_the_folder_holds_what_a_laboratory_has(written):
    folder, recording, seen = written
    assert seen == [(done, 24) for done in range(1, 25)]
    names = {f"{number}.mp4" for number in range(6)}
    assert {file.name for file in (folder / "videos_undist").iterdir()} == names
    assert {file.name for file in (folder / "simpleclick_undist").iterdir()} == names
    cameras = pickle.loads((folder / "new_cam.pkl").read_bytes())
    assert [sorted(camera) for camera in cameras] == [["K", "R", "T"]] * 6
    assert [camera["T"].shape for camera in cameras] == [(3, 1)] * 6
    truth = json.loads((folder / "truth.json").read_text())
    for number, camera in enumerate(cameras):
        # Plain textbook projection; OpenCV's pixels are ours minus a half.
        local = camera["K"] @ (camera["R"] @ np.array(truth["subject"]).T + camera["T"])
        expected, _ = project(
            np.array([recording.subject(frame) for frame in range(4)]),
            recording.cameras.c2w[number],
            recording.cameras.fxfycxcy[number],
        )
        np.testing.assert_allclose((local[:2] / local[2]).T + 0.5, expected)


def test_videos_show_what_was_rendered(written):
    folder, recording, _ = written
    for number in (0, 3):
        video = VideoReader(folder / f"videos_undist/{number}.mp4")
        masks = VideoReader(folder / f"simpleclick_undist/{number}.mp4")
        assert (len(video), len(masks), video.fps) == (4, 4, 5.0)
        assert (video.height, video.width) == (128, 144)
        camera = recording.cameras[number]
        picture = recording.render(2, camera)
        expected = draw_arena(camera) * (1 - picture.alpha[..., None])
        expected += picture.rgb * picture.alpha[..., None]
        assert np.abs(video.frame(2) / 255 - expected).mean() < 0.02
        mask = masks.frame(2)[..., 0]
        assert np.abs(mask / 255 - picture.alpha).max() < 0.2
        true = load_picture(folder / f"true_masks/{number}/000002.png").rgb[..., 0]
        np.testing.assert_array_equal(true, np.rint(picture.alpha * 255))


def test_masks_triangulate_to_the_subject(written):
    _, recording, _ = written
    cameras = recording.cameras
    masks = [(recording.render(1, camera).alpha * 255).astype(np.uint8) for camera in cameras]
    centroids = np.array([measure_foreground(mask).centroid for mask in masks])
    found = triangulate(centroids, cameras.c2w, cameras.fxfycxcy)
    # The centre of a silhouette is no fixed point of the body; 80 mm is about its length.
    assert np.linalg.norm(found.point - recording.subject(1)) < 12
    assert found.residuals_px.max() < 4


def test_the_same_settings_give_the_same_files(written, tmp_path):
    folder, _, _ = written
    write_recording(tmp_path, frames=4, seed=3, fps=5, scale=0.125)
    for name in ("new_cam.pkl", "truth.json", "videos_undist/1.mp4", "simpleclick_undist/1.mp4"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    other = make_recording(frames=4, seed=4, fps=5, scale=0.125)
    assert other.subject(0).tolist() != make_recording(frames=4, seed=3).subject(0).tolist()
    assert not (tmp_path / "true_masks").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames"),
        ({"frames": 1, "seed": -1}, "seed"),
        ({"frames": 1, "fps": 0}, "fps"),
        ({"frames": 1, "scale": float("nan")}, "scale"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, settings, message):
    with pytest.raises(RangeError, match=f"recording: {message}"):
        write_recording(tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []


def write(path, pictures):
    with Mp4Writer(path, fps=5, crf=20) as writer:
        for picture in pictures:
            writer.add(picture)


def test_a_failed_video_leaves_nothing_behind(tmp_path):
    def broken_off():
        yield np.zeros((16, 16, 3), np.uint8)
        raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        write(tmp_path / "a.mp4", broken_off())
    odd = [np.zeros((15, 15, 3), np.uint8)] * 2000
    with pytest.raises(StorageError, match=r"b\.mp4: expected FFmpeg to write the video, got: \["):
        write(tmp_path / "b.mp4", odd)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"c\.mp4: expected a folder to write a video to, got "):
        write(tmp_path / "file/c.mp4", odd[:1])
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_missing_ffmpeg_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(StorageError, match=r"c\.mp4: expected FFmpeg to write a video with, got "):
        write(tmp_path / "c.mp4", [np.zeros((16, 16, 3), np.uint8)])
