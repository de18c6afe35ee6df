"""The door of the readers: what comes in is checked, straightened once and remembered."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mfl_adapt.cameras import lens, look_at
from mfl_adapt.errors import DataError
from mfl_adapt.images import RawView, begin_sample, digest_views
from mfl_adapt.types import Provenance, RawCamera

HEIGHT, WIDTH = 80, 96


def pose(center=(3.0, 1.0, 0.5)) -> tuple:
    return tuple(tuple(row) for row in look_at(center).tolist())


def camera(kind="pinhole", distortion=(), *, skew=0.0, **changes) -> RawCamera:
    one = RawCamera(pose(), (110.0, 108.0, 47.0, 41.5), HEIGHT, WIDTH, kind, distortion, skew=skew)
    return replace(one, **changes)


def smooth_picture() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    layers = [120 + 100 * np.sin(x / 9.0), 120 + 100 * np.cos(y / 11.0), x + y]
    return np.rint(np.stack(layers, axis=-1)).astype(np.uint8)


def raw_view(one: RawCamera | None = None, *, masked=True, **changes) -> RawView:
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8) if masked else None
    view = RawView("cam0", smooth_picture(), mask, one or camera(), "videos/0.mp4 frame 7")
    return replace(view, **changes)


def begin(*views: RawView, **more):
    return begin_sample("s", views, step="rat.reader", params={"frame": 7}, **more)


def test_pinhole_pictures_come_in_untouched():
    view = raw_view()
    sample = begin(view, session="day1", animal="m3", time_s=0.5)
    (found,) = sample.views
    assert np.array_equal(found.rgb, view.rgb)
    assert np.array_equal(found.mask, view.mask)
    assert np.array_equal(found.c2w, np.array(view.camera.c2w))
    assert found.fxfycxcy.tolist() == [110.0, 108.0, 47.0, 41.5]
    assert (found.name, found.source) == ("cam0", "videos/0.mp4 frame 7")
    assert (sample.session, sample.animal, sample.time_s) == ("day1", "m3", 0.5)
    (step,) = sample.provenance
    assert step == Provenance(
        "rat.reader", {"frame": 7}, digest_views(sample.views), raw_cameras=(view.camera,)
    )


@pytest.mark.parametrize(
    ("kind", "distortion"),
    [("brown", (-0.25, 0.08, 0.002, -0.001, 0.01)), ("fisheye", (0.04, -0.01, 0.0, 0.0))],
)
def test_straightened_like_opencv(kind, distortion):
    one = camera(kind, distortion)
    found = begin(raw_view(one)).views[0]
    fx, fy, cx, cy = one.fxfycxcy
    # OpenCV counts pixel centres from 0, hence the half pixel in the principal point.
    matrix = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
    size = (WIDTH, HEIGHT)
    make_maps = (
        cv2.fisheye.initUndistortRectifyMap if kind == "fisheye" else cv2.initUndistortRectifyMap
    )
    maps = make_maps(matrix, np.array(distortion), np.eye(3), matrix, size, cv2.CV_32FC1)
    expected = cv2.remap(smooth_picture(), *maps, cv2.INTER_CUBIC).astype(int)
    inner = found.mask == 255
    inner[:2] = inner[-2:] = inner[:, :2] = inner[:, -2:] = False
    assert inner.mean() > 0.7
    assert np.abs(found.rgb.astype(int) - expected)[inner].max() <= 2
    assert found.fxfycxcy.tolist() == list(one.fxfycxcy)


def test_what_the_raw_frame_did_not_show_is_outside_the_mask():
    # Pincushion: the straight picture's corners lie outside the raw frame.
    one = camera("brown", (0.4, 0.0, 0.0, 0.0))
    found = begin(raw_view(one)).views[0]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    rays = np.stack([(x - 47.0) / 110.0, (y - 41.5) / 108.0], axis=-1)
    raw = lens.to_pixels(lens.distort(rays, one), one)
    shown = ((raw >= 0) & (raw <= [WIDTH, HEIGHT])).all(axis=-1)
    assert 0.5 < shown.mean() < 0.97
    assert np.array_equal(found.mask > 0, shown)


def test_no_ghost_beyond_the_fold():
    # Beyond r = 0.577 the model turns back and would show the middle of the frame again.
    one = camera("brown", (-1.0, 0.0, 0.0, 0.0))
    found = begin(raw_view(one)).views[0]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    radius = np.hypot((x - 47.0) / 110.0, (y - 41.5) / 108.0)
    assert (found.mask[radius > 0.58] == 0).all()
    assert (found.mask[radius < 0.57] == 255).all()
    bare = begin(raw_view(one, masked=False)).views[0]
    assert bare.mask is None
    assert (bare.rgb[radius > 0.58] == 255).all()


def test_skew_is_removed():
    # With a skew of 22 px, a ray at height y = (v - 41.5) / 108 is 22 y further right.
    found = begin(raw_view(camera(skew=22.0), masked=False)).views[0]
    row, column = 70, 40
    raw_x = column + 0.5 + 22.0 * (row + 0.5 - 41.5) / 108.0
    expected = np.interp(raw_x, np.arange(WIDTH) + 0.5, smooth_picture()[row, :, 0])
    assert abs(int(found.rgb[row, column, 0]) - expected) <= 2
    assert found.fxfycxcy.tolist() == [110.0, 108.0, 47.0, 41.5]


def test_16_bits_stay_16_bits():
    deep = smooth_picture().astype(np.uint16) * 257
    bent = begin(raw_view(camera("brown", (-0.2, 0.0, 0.0, 0.0)), rgb=deep)).views[0]
    same = begin(raw_view(camera("brown", (-0.2, 0.0, 0.0, 0.0)))).views[0]
    assert bent.rgb.dtype == np.uint16
    assert bent.mask.dtype == np.uint8
    assert np.abs(bent.rgb / 257.0 - same.rgb).max() <= 0.51
    assert np.array_equal(begin(raw_view(rgb=deep)).views[0].rgb, deep)


def test_rounded_rotations_are_mended_and_exact_ones_kept():
    exact = np.array(pose())
    text = np.round(exact, 5)  # a calibration file with five digits
    found = begin(raw_view(camera(c2w=tuple(map(tuple, text.tolist())))))
    rotation = found.views[0].c2w[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), rtol=0, atol=1e-14)
    np.testing.assert_allclose(rotation, exact[:3, :3], rtol=0, atol=2e-5)
    raw = found.provenance[0].raw_cameras[0]
    assert np.array_equal(np.array(raw.c2w), found.views[0].c2w)
    single = exact.astype(np.float32).astype(np.float64)
    (view,) = begin(raw_view(camera(c2w=tuple(map(tuple, single.tolist()))))).views
    np.testing.assert_allclose(view.c2w, single, rtol=0, atol=2e-7)
    np.testing.assert_allclose(view.c2w[:3, :3] @ view.c2w[:3, :3].T, np.eye(3), atol=1e-14)
    assert np.array_equal(begin(raw_view()).views[0].c2w, exact)


def test_a_history_is_continued_without_new_raw_cameras():
    past = begin(raw_view()).provenance
    doubled = np.diag([2.0, 2.0, 1.0])
    sample = begin(raw_view(), history=past, order=[0], pixel_maps=[doubled])
    assert sample.provenance[0] is past[0]
    last = sample.provenance[1]
    assert (last.raw_cameras, last.order) == ((), (0,))
    assert last.pixel_maps == (((2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 1.0)),)


def changed_pose(row: int, column: int, value: float) -> tuple:
    rows = [list(one) for one in pose()]
    rows[row][column] = value
    return tuple(tuple(one) for one in rows)


def mirrored() -> tuple:
    return tuple((-a, b, c, d) for a, b, c, d in pose())


@pytest.mark.parametrize(
    ("camera_changes", "words"),
    [
        ({"c2w": changed_pose(1, 3, float("nan"))}, "finite numbers in the camera's pose"),
        ({"fxfycxcy": (np.inf, 1.0, 1.0, 1.0)}, "finite numbers in the camera's intrinsics"),
        ({"kind": "brown", "distortion": (np.nan, 0.0, 0.0, 0.0)}, "the camera's distortion"),
        ({"skew": float("nan")}, "the camera's skew"),
        ({"fxfycxcy": (100.0, -100.0, 40.0, 40.0)}, "positive focal lengths, got 100 and -100"),
        ({"c2w": mirrored()}, "det [+]1, got det -1"),
        ({"c2w": changed_pose(0, 0, 0.9)}, "off orthonormal by"),
        ({"c2w": changed_pose(3, 0, 0.5)}, "the last row is 0 0 0 1"),
        ({"c2w": ((1.0, 0.0), (0.0, 1.0))}, r"4 x 4 numbers and 4 intrinsics, got \[2, 2\]"),
        ({"height": 90}, r"height and width \[90, 96\], got \[80, 96\]"),
        ({"kind": "brown", "distortion": (0.1,)}, "4, 5 or 8 coefficients"),
        ({"kind": "brown", "distortion": (-30.0, 0.0, 0.0, 0.0)}, "invertible over the picture"),
    ],
)
def test_bad_cameras_are_named_by_their_source(camera_changes, words):
    with pytest.raises(DataError, match=rf"^videos/0\.mp4 frame 7: .*{words}") as caught:
        begin(raw_view(camera(**camera_changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rgb": np.zeros((HEIGHT, WIDTH), np.uint8)}, r"\[H, W, 3\] of 8 or 16 bits, got \[80"),
        ({"rgb": np.zeros((HEIGHT, WIDTH, 3))}, "got .* float64"),
        ({"mask": np.zeros((40, 48), np.uint8)}, r"mask like the picture, \[80, 96\] uint8, got"),
        ({"mask": np.zeros((HEIGHT, WIDTH), bool)}, "bool"),
        ({"mask": np.zeros((40, 48), np.uint8), "source": ""}, "^s/cam0: "),
    ],
)
def test_bad_pictures_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        begin(raw_view(**changes))


def test_samples_need_views_with_names_of_their_own():
    with pytest.raises(DataError, match="sample s: expected at least one view"):
        begin()
    with pytest.raises(DataError, match="expected every view once, got 'cam0' twice"):
        begin(raw_view(), raw_view())
