"""Views by name or number, and masks from alpha, pictures and video frames."""

import cv2
import numpy as np
import pytest

from mfl_adapt.errors import DataError
from mfl_adapt.images import Picture, alpha_of, choose_views, load_mask, to_mask

NAMES = ("left", "right", "top")


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        (None, [0, 1, 2]),
        (["top", 0], [2, 0]),
        ([2, 1], [2, 1]),
        (["right"], [1]),
        ([], []),
    ],
)
def test_views_keep_the_order_asked_for(views, expected):
    assert choose_views(NAMES, views, "a.json") == expected


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (["lefd"], r"^a\.json: expected a view to keep, got 'lefd'\. Did you mean 'left'\?$"),
        (["q"], r"got 'q'\. Known: left, right, top\.$"),
        ([3], r"^a\.json: expected view indices from 0 to 2, got 3\."),
        ([-1], r"from 0 to 2, got -1\."),
        ([1, "right"], r"^a\.json: expected every view once, got 'right' twice\."),
        (["top", "top"], r"got 'top' twice\."),
    ],
)
def test_views_that_are_not_there_or_twice(views, message):
    with pytest.raises(DataError, match=message):
        choose_views(NAMES, views, "a.json")


def test_alpha(tmp_path):
    rgb, alpha = np.zeros((4, 5, 3), np.uint8), np.full((4, 5), 7, np.uint8)
    assert alpha_of(Picture(rgb, alpha), tmp_path / "a.png") is alpha
    with pytest.raises(DataError, match=r"a\.png: expected an alpha channel .* without one"):
        alpha_of(Picture(rgb, None), tmp_path / "a.png")


def save(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return path


def box():
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 3:8] = 255
    mask[5, 3:8] = 100
    return mask


def test_masks_of_every_depth_and_number_of_channels(tmp_path):
    path = tmp_path / "mask.png"
    opaque = np.dstack([box()] * 3 + [np.full_like(box(), 255)])
    for pixels in (box(), np.dstack([box()] * 3), box().astype(np.uint16) * 257, opaque):
        assert np.array_equal(load_mask(save(path, pixels)), box())
    assert not load_mask(save(path, np.zeros_like(box()))).any()


def test_a_mask_that_went_through_jpeg_is_read(tmp_path):
    mask = load_mask(save(tmp_path / "mask.jpg", np.repeat(np.repeat(box(), 8, 0), 8, 1)))
    assert np.array_equal(mask[::8, ::8] > 127, box() > 127)


def test_masks_that_are_none(tmp_path):
    path = tmp_path / "mask.png"
    with pytest.raises(DataError, match=r"mask\.png: expected a PNG or JPEG file, got No such"):
        load_mask(path)
    save(path, np.dstack([box()] * 4))
    with pytest.raises(DataError, match=r"mask\.png: expected a grey mask picture, .* alpha"):
        load_mask(path)
    save(path, box() // 255)
    with pytest.raises(DataError, match=r"mask\.png: expected a mask of 0 and 255, got one of 0"):
        load_mask(path)
    save(path, np.dstack([box(), box(), box() // 2]))
    with pytest.raises(DataError, match=r"mask\.png: .* got colours with channels 128 apart"):
        load_mask(path)


@pytest.mark.parametrize(("spread", "accepted"), [(0, True), (16, True), (17, False)])
def test_how_far_channels_of_grey_may_differ(tmp_path, spread, accepted):
    frame = np.dstack([box()] * 3)
    frame[0, 0] = (40, 40 + spread // 2, 40 + spread)
    if accepted:
        assert np.array_equal(to_mask(frame, tmp_path / "a.mp4"), frame[:, :, 1])
        return
    with pytest.raises(DataError, match=rf"a\.mp4: expected a grey mask, .* {spread} apart"):
        to_mask(frame, tmp_path / "a.mp4")
