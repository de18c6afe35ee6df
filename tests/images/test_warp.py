"""Warping: the camera sees in the new picture what it saw in the old one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfl_adapt.cameras import look_at, project
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.images import resize_map
from mfl_adapt.images.warp import warp_camera, warp_view
from mfl_adapt.types import View


def make_view(height: int, width: int, *, masked: bool = True) -> View:
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([columns * 255 // width, rows * 255 // height, 0 * rows + 60], -1)
    inside = (columns - width / 2) ** 2 + (rows - height / 2) ** 2 < (min(height, width) / 3) ** 2
    mask = (255 * inside).astype(np.uint8) if masked else None
    c2w = look_at([2.0, 1.0, 0.5])
    intrinsics = np.array([1.1 * width, 1.2 * width, 0.45 * width, 0.52 * height])
    return View("cam_000", rgb.astype(np.uint8), mask, c2w, intrinsics)


def through(pixel_map, points):
    """Apply a pixel map to points [N, 2]."""
    moved = np.c_[points, np.ones(len(points))] @ pixel_map.T
    return moved[:, :2] / moved[:, 2:]


def turn(view: View, degrees: float, axis: int) -> np.ndarray:
    """Homography of a camera turned about its centre: K R K^-1."""
    fx, fy, cx, cy = view.fxfycxcy
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    plane = [[1, 2], [0, 2], [0, 1]][axis]
    rotation = np.eye(3)
    rotation[np.ix_(plane, plane)] = [[cos, -sin], [sin, cos]]
    return k @ rotation @ np.linalg.inv(k)


def test_identity_returns_the_same_pixels():
    view = make_view(20, 30)
    same = warp_view(view, np.eye(3), 20, 30)
    assert np.array_equal(same.rgb, view.rgb)
    assert np.array_equal(same.mask, view.mask)
    assert np.array_equal(same.c2w, view.c2w)
    np.testing.assert_allclose(same.fxfycxcy, view.fxfycxcy, rtol=1e-15)


def test_resize_scales_intrinsics_and_keeps_the_pose():
    view = make_view(64, 64)
    small = warp_view(view, resize_map((64, 64), (16, 16)), 16, 16)
    np.testing.assert_allclose(small.fxfycxcy, view.fxfycxcy / 4, rtol=1e-15)
    assert np.array_equal(small.c2w, view.c2w)
    assert (small.height, small.width) == (16, 16)


def test_shrinking_averages_the_footprint():
    # A chequerboard of single pixels becomes its mean, not one of its colours.
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[::2, ::2] = rgb[1::2, 1::2] = 200
    view = View("a", rgb, np.full((8, 8), 255, np.uint8), np.eye(4), np.array([8.0, 8, 4, 4]))
    small = warp_view(view, resize_map((8, 8), (4, 4)), 4, 4)
    assert (small.rgb == 100).all()
    assert (small.mask == 255).all()


def test_nothing_bleeds_in_from_under_the_mask():
    view = make_view(64, 64)
    rgb = view.rgb.copy()
    rgb[:] = (10, 20, 30)
    hidden = rgb.copy()
    hidden[view.mask == 0] = 255
    for size in (24, 100):
        pair = []
        for colour in (rgb, hidden):
            one = View("a", colour, view.mask, view.c2w, view.fxfycxcy)
            pair.append(warp_view(one, resize_map((64, 64), (size, size)), size, size))
        assert np.array_equal(pair[0].rgb, pair[1].rgb)
        assert np.abs(pair[0].rgb[pair[0].mask > 0].astype(int) - (10, 20, 30)).max() <= 1


def test_outside_the_old_picture_the_mask_is_empty():
    view = make_view(32, 32)
    full = View("a", view.rgb, np.full((32, 32), 255, np.uint8), view.c2w, view.fxfycxcy)
    shift = np.array([[1.0, 0, 8], [0, 1, 0], [0, 0, 1]])
    moved = warp_view(full, shift, 32, 32)
    assert (moved.mask[:, :8] == 0).all()
    assert (moved.mask[:, 8:] == 255).all()
    assert np.array_equal(moved.rgb[:, 8:], view.rgb[:, :-8])
    assert moved.fxfycxcy[2] == pytest.approx(view.fxfycxcy[2] + 8)


def test_a_whole_mask_stays_whole_up_to_the_border():
    view = make_view(32, 32)
    full = View("a", view.rgb, np.full((32, 32), 255, np.uint8), view.c2w, view.fxfycxcy)
    for size in (20, 32, 50):
        assert (warp_view(full, resize_map((32, 32), (size, size)), size, size).mask == 255).all()


def test_without_a_mask_the_edge_is_repeated():
    view = make_view(16, 16, masked=False)
    moved = warp_view(view, np.array([[1.0, 0, 4], [0, 1, 0], [0, 0, 1]]), 16, 16)
    assert moved.mask is None
    assert np.array_equal(moved.rgb[:, :4], np.repeat(view.rgb[:, :1], 4, axis=1))


@settings(deadline=None, max_examples=60)
@given(
    scale=st.floats(0.2, 5.0),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    angles=st.tuples(*[st.floats(-30, 30)] * 3),
)
def test_the_camera_follows_the_pixels(scale, shift, angles):
    """x' = H x for every point of the world: the property that everything else rests on."""
    view = make_view(48, 64)
    # Square pixels, because a roll of stretched ones is a shear.
    view = View("a", view.rgb, view.mask, view.c2w, np.array([70.0, 70.0, 30.0, 26.0]))
    pixel_map = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])
    for axis, angle in enumerate(angles):
        pixel_map = pixel_map @ turn(view, angle, axis)
    c2w, fxfycxcy = warp_camera(view.c2w, view.fxfycxcy, pixel_map)
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3))
    old, _ = project(points, view.c2w, view.fxfycxcy)
    new, depth = project(points, c2w, fxfycxcy)
    front = depth > 0.2
    np.testing.assert_allclose(new[front], through(pixel_map, old)[front], rtol=0, atol=1e-6)
    np.testing.assert_allclose(c2w[:3, 3], view.c2w[:3, 3], rtol=0, atol=0)
    assert np.linalg.det(c2w[:3, :3]) == pytest.approx(1.0, abs=1e-12)


def test_a_turned_camera_finds_the_mark_where_it_projects():
    view = make_view(96, 96)
    points = np.array([[0.05, -0.08, 0.1]])
    spot, _ = project(points, view.c2w, view.fxfycxcy)
    rows, columns = np.mgrid[0:96, 0:96] + 0.5
    blob = 255 * np.exp(-((columns - spot[0, 0]) ** 2 + (rows - spot[0, 1]) ** 2) / 18)
    marked = View("a", view.rgb, blob.astype(np.uint8), view.c2w, view.fxfycxcy)
    turned = warp_view(marked, turn(view, 7.0, 1), 96, 96)
    there, _ = project(points, turned.c2w, turned.fxfycxcy)
    weight = turned.mask / turned.mask.sum()
    found = [(weight * columns).sum(), (weight * rows).sum()]
    np.testing.assert_allclose(found, there[0], rtol=0, atol=0.1)


def test_what_lies_behind_the_old_camera_is_not_mirrored_in():
    base = make_view(40, 40)
    intrinsics = np.array([12.0, 12.0, 20.0, 20.0])  # 118 degrees wide
    full = View("a", base.rgb, np.full((40, 40), 255, np.uint8), base.c2w, intrinsics)
    pixel_map = turn(full, 85.0, 1)
    turned = warp_view(full, pixel_map, 40, 40)
    # Rays of the new pixels in the old camera's axes, signs kept.
    rows, columns = np.mgrid[0:40, 0:40] + 0.5
    rays = np.stack([columns, rows, np.ones((40, 40))], -1) @ np.linalg.inv(pixel_map).T
    seen = (rays[..., 2] > 0) & (np.abs(rays[..., :2] / rays[..., 2:] - 20) <= 20).all(-1)
    mirrored = (rays[..., 2] < 0) & (np.abs(rays[..., :2] / rays[..., 2:] - 20) <= 20).all(-1)
    assert mirrored.sum() > 50
    assert (turned.mask[mirrored] == 0).all()
    assert ((turned.mask > 127) == seen).mean() > 0.97


def test_maps_that_no_camera_follows():
    view = make_view(16, 16)
    mirror = np.array([[-1.0, 0, 16], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(RangeError, match="mirrors"):
        warp_view(view, mirror, 16, 16)
    with pytest.raises(RangeError, match="mirrors"):
        warp_view(view, -mirror, 16, 16)
    with pytest.raises(RangeError, match=r"without shear, got a skew of 0\.1"):
        warp_view(view, np.array([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]]), 16, 16)
    with pytest.raises(RangeError, match="infinity"):
        warp_view(view, np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, -8]]), 16, 16)
    with pytest.raises(RangeError, match="expected finite numbers"):
        warp_view(view, np.full((3, 3), np.nan), 16, 16)
    with pytest.raises(RangeError, match="height"):
        warp_view(view, np.eye(3), 0, 16)
    with pytest.raises(ShapeError, match=r"pixel_map: expected \[3, 3\]"):
        warp_view(view, np.eye(4), 16, 16)


def test_the_sign_of_a_map_is_free():
    view = make_view(24, 24)
    pixel_map = turn(view, 5.0, 0)
    one, other = (warp_view(view, sign * pixel_map, 24, 24) for sign in (1.0, -1.0))
    assert np.array_equal(one.rgb, other.rgb)
    np.testing.assert_allclose(one.c2w, other.c2w, rtol=0, atol=1e-12)


def test_bands_do_not_show(monkeypatch):
    view = make_view(60, 60)
    pixel_map = resize_map((60, 60), (25, 25)) @ turn(view, 10.0, 0)
    whole = warp_view(view, pixel_map, 25, 25)
    monkeypatch.setattr("mfl_adapt.images.resample._BAND_SAMPLES", 500)
    banded = warp_view(view, pixel_map, 25, 25)
    assert np.array_equal(whole.rgb, banded.rgb)
    assert np.array_equal(whole.mask, banded.mask)


def test_16_bits_are_warped_in_16_bits():
    view = make_view(40, 40)
    deep = replace(view, rgb=view.rgb.astype(np.uint16) * 257)
    pixel_map = resize_map((40, 40), (24, 24)) @ turn(view, 5.0, 0)
    shallow, fine = (warp_view(one, pixel_map, 24, 24) for one in (view, deep))
    rounded = warp_view(deep, pixel_map, 24, 24, bits=8)
    assert (shallow.rgb.dtype, fine.rgb.dtype, rounded.rgb.dtype) == (np.uint8, np.uint16, np.uint8)
    assert np.abs(fine.rgb / 257.0 - shallow.rgb).max() <= 0.501
    assert np.abs(rounded.rgb.astype(int) - shallow.rgb).max() <= 1
    assert np.array_equal(fine.mask, shallow.mask)
    # More than the 256 levels of the original are used.
    assert len(np.unique(fine.rgb % 257)) > 50


def test_a_cut_from_a_large_picture_equals_the_whole_one():
    # Only the part of the old picture that is needed is touched; nothing may depend on that.
    view = make_view(90, 120)
    pixel_map = turn(view, 4.0, 2)
    shift = np.array([[1.0, 0, -30], [0, 1, -40], [0, 0, 1]])
    whole = warp_view(view, pixel_map, 90, 120)
    part = warp_view(view, shift @ pixel_map, 25, 35)
    assert np.array_equal(part.mask, whole.mask[40:65, 30:65])
    difference = part.rgb.astype(int) - whole.rgb[40:65, 30:65]
    assert np.abs(difference).max() <= 1


def test_a_picture_that_is_not_looked_at_is_empty():
    view = make_view(30, 30)
    away = np.array([[1.0, 0, -500], [0, 1, 0], [0, 0, 1]])
    moved = warp_view(view, away, 20, 20)
    assert not moved.mask.any()
    bare = warp_view(replace(view, mask=None), away, 20, 20)
    assert (bare.rgb == view.rgb[:20, -1:]).all()


def test_a_horizon_hides_what_is_behind():
    # Turned by 80 degrees, part of the new picture looks at rays behind the old camera.
    view = make_view(40, 40, masked=False)
    view = replace(view, mask=np.full((40, 40), 255, np.uint8))
    moved = warp_view(view, turn(view, 80.0, 1), 40, 400)
    back = np.linalg.inv(turn(view, 80.0, 1))
    y, x = np.mgrid[0:40, 0:400] + 0.5
    old = np.stack([x, y, np.ones_like(x)], axis=-1) @ back.T
    seen = (old[..., 2] > 0) & (np.abs(old[..., :2] / old[..., 2:] - 20) < 20).all(axis=-1)
    assert (moved.mask[~seen] < 255).all()
    assert not moved.mask[old[..., 2] <= 0].any()
