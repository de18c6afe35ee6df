"""The subject's place from centres of masks."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring, project
from mfl_adapt.images.subject import locate_subject
from mfl_adapt.types import View

SIZE = 96


def views_of(point, half=6, num=4):
    """Squares centred on a point's image, to the pixel where its image is whole."""
    cameras = facelift_ring(num, size=SIZE)
    views = []
    for index in range(num):
        c2w, fxfycxcy = cameras.c2w[index], cameras.fxfycxcy[index]
        x, y = np.rint(project(np.array([point]), c2w, fxfycxcy)[0][0]).astype(int)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[max(0, y - half) : y + half, max(0, x - half) : x + half] = 255
        views.append(View(f"{index}", np.zeros((SIZE, SIZE, 3), np.uint8), mask, c2w, fxfycxcy))
    return views


def test_a_point_in_the_middle():
    found = locate_subject(views_of((0.0, 0.0, 0.0)))
    assert found.point == pytest.approx([0, 0, 0], abs=1e-9)
    assert found.residuals_px == pytest.approx([0.0] * 4, abs=1e-6)
    assert not found.cut
    # A square of 12 px covers a disc of radius 12 / sqrt(pi); at depth 2.7 and f = 102.9 px.
    assert found.radius == pytest.approx(12 / np.sqrt(np.pi) / 102.936 * 2.7, rel=1e-4)


def test_one_bad_mask_neither_decides_nor_hides():
    views = views_of((0.1, -0.05, 0.1), num=8)
    good = locate_subject(views)
    views[2] = replace(views[2], mask=np.roll(views[2].mask, 20, axis=1))
    found = locate_subject(views)
    assert np.linalg.norm(found.point - good.point) < 0.05
    assert int(np.argmax(found.residuals_px)) == 2
    assert found.residuals_px[2] > 15


def test_cut_masks_serve_only_where_others_are_too_few():
    views = views_of((0.0, 0.0, 0.0))
    cut = views[0].mask.copy()
    cut[60:, :] = 255
    one_cut = [replace(views[0], mask=cut), *views[1:]]
    found = locate_subject(one_cut)
    assert found.used.tolist() == [False, True, True, True]
    assert not found.cut
    assert found.residuals_px[0] > 10  # told all the same
    assert locate_subject([*one_cut[:1], *one_cut[1:3]]).cut


def test_too_little_to_tell():
    views = views_of((0.0, 0.0, 0.0))
    assert locate_subject(views[:2]) is None
    assert locate_subject([views[0]] * 3) is None  # rays that do not cross
    assert locate_subject([*views[:2], replace(views[2], mask=None)]) is None
    empty = replace(views[2], mask=np.zeros((SIZE, SIZE), np.uint8))
    found = locate_subject([*views[:2], empty, views[3]])
    assert np.isnan(found.residuals_px[2])
