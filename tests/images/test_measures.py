"""Composite, foreground measures and the digest."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.images import composite, digest_views, measure_foreground
from mfl_adapt.types import View


def test_composite_takes_16_bits_for_what_they_are():
    deep = np.full((1, 1, 3), 65535, np.uint16)
    half = np.full((1, 1), 51, np.uint8)  # a fifth
    np.testing.assert_allclose(composite(deep, half, 0.0), 0.2, rtol=1e-12)


def test_composite_by_hand():
    rgb = np.array([[[255, 0, 51]] * 3], np.uint8)
    mask = np.array([[255, 0, 51]], np.uint8)
    result = composite(rgb, mask, 1.0)
    # 51 / 255 = 0.2: the last pixel is 0.2 * colour + 0.8 * white.
    expected = [[[1.0, 0.0, 0.2], [1.0, 1.0, 1.0], [1.0, 0.8, 0.84]]]
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-15)


def test_composite_hides_what_lies_under_the_mask():
    arena = np.full((4, 4, 3), 77, np.uint8)
    assert (composite(arena, np.zeros((4, 4), np.uint8), 0.5) == 0.5).all()


def test_composite_checks():
    rgb, mask = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)
    with pytest.raises(RangeError, match=r"background: expected a value from 0 to 1, got 255"):
        composite(rgb, mask, 255)
    with pytest.raises(ShapeError, match="composite: mask"):
        composite(rgb, mask.T, 1.0)


def test_foreground_of_a_rectangle():
    mask = np.zeros((10, 20), np.uint8)
    mask[6:10, 2:5] = 255  # rows 6 to 9, columns 2 to 4
    found = measure_foreground(mask)
    assert found.share == pytest.approx(12 / 200)
    assert found.centroid == pytest.approx([3.5, 8.0])
    assert found.border_px == {"top": 0, "bottom": 3, "left": 0, "right": 0}
    assert found.touched == ("bottom",)


def test_half_covered_pixels_count_half():
    mask = np.array([[255, 0, 51]], np.uint8)
    found = measure_foreground(mask)
    assert found.share == pytest.approx(1.2 / 3)
    assert found.centroid == pytest.approx([(0.5 + 0.2 * 2.5) / 1.2, 0.5])
    assert found.border_px["right"] == 0


def test_foreground_of_nothing():
    found = measure_foreground(np.zeros((3, 3), np.uint8))
    assert (found.share, found.centroid, found.touched) == (0.0, None, ())


def test_digest_sees_every_change():
    rgb, mask = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)
    view = View("cam_000", rgb, mask, np.eye(4), np.array([1.0, 1.0, 1.0, 1.0]))
    other = rgb.copy()
    other[1, 1, 2] = 1
    pose = np.eye(4)
    pose[0, 3] = 1e-12
    changed = [
        replace(view, name="cam_001"),
        replace(view, rgb=other),
        replace(view, mask=None),
        replace(view, mask=other[:, :, 2]),
        replace(view, c2w=pose),
        replace(view, fxfycxcy=view.fxfycxcy * 2),
        replace(view, rgb=np.zeros((4, 1, 3), np.uint8), mask=np.zeros((4, 1), np.uint8)),
    ]
    # 16 bits with the very bytes of 8 bits.
    changed.append(replace(view, rgb=rgb.astype(np.uint16)[:, :, :3]))
    digests = {digest_views([one]) for one in [view, *changed]}
    assert len(digests) == 9
    assert digest_views([replace(view, source="elsewhere")]) == digest_views([view])
    # A view read as a slice of a larger array has the same content.
    assert digest_views([replace(view, rgb=np.zeros((2, 4, 3), np.uint8)[:, ::2])]) in digests
