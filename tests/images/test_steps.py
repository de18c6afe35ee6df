"""The doors of the stages: picture, mask, camera and history change together or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring, history, project
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.images import (
    RawView,
    begin_sample,
    digest_views,
    relabel_cameras,
    replace_pixels,
    resize_map,
    warp_sample,
)
from mfl_adapt.types import Cameras, RawCamera, Sample, Similarity

SIZE = 32


@pytest.fixture
def sample() -> Sample:
    rng = np.random.default_rng(0)
    rig = facelift_ring(3, size=SIZE)
    views = [
        RawView(
            f"cam{index}",
            rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
            rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8),
            RawCamera(
                tuple(tuple(row) for row in rig.c2w[index].tolist()),
                tuple(rig.fxfycxcy[index].tolist()),
                SIZE,
                SIZE,
            ),
        )
        for index in range(3)
    ]
    return begin_sample("s", views, step="reader", params={}, session="d")


def test_everything_moves_together_and_is_written_down(sample):
    world = Similarity(2.0, translation=(0.0, 0.0, 1.0))
    shrink = resize_map((SIZE, SIZE), (16, 24))
    moved = warp_sample(
        sample,
        step="p.c",
        params={"a": 1},
        pixel_maps=[shrink, shrink],
        sizes=[(16, 24)] * 2,
        world=world,
        order=[2, 0],
        exact=False,
    )
    assert [view.name for view in moved.views] == ["cam2", "cam0"]
    assert all(
        view.rgb.shape == (16, 24, 3) and view.mask.shape == (16, 24) for view in moved.views
    )
    points = np.random.default_rng(1).uniform(-0.3, 0.3, (10, 3))
    new, old = moved.views[0], sample.views[2]
    before, _ = project(points, old.c2w, old.fxfycxcy)
    after, _ = project(2 * points + [0.0, 0.0, 1.0], new.c2w, new.fxfycxcy)
    np.testing.assert_allclose(after, before * [24 / 32, 16 / 32], rtol=0, atol=1e-9)
    step = moved.provenance[-1]
    assert (step.step, step.params, step.order, step.exact) == ("p.c", {"a": 1}, (2, 0), False)
    assert step.world == world
    assert step.pixel_maps == (((0.75, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 1.0)),) * 2
    assert step.digest == digest_views(moved.views)
    assert moved.provenance[:-1] == sample.provenance
    assert moved.session == "d"
    assert (history.round_trip_px(moved) < 1e-9).all()


def test_a_change_of_the_world_alone_keeps_every_pixel(sample):
    moved = warp_sample(sample, step="p.c", params={}, world=Similarity(0.5))
    for old, new in zip(sample.views, moved.views, strict=True):
        assert new.rgb is old.rgb
        assert new.mask is old.mask
        np.testing.assert_allclose(new.c2w[:3, 3], old.c2w[:3, 3] / 2, rtol=1e-15)
    assert moved.provenance[-1].pixel_maps == ()
    assert moved.provenance[-1].order == ()


def test_the_sign_of_a_map_does_not_matter(sample):
    turned = resize_map((SIZE, SIZE), (16, 16))
    one, other = (
        warp_sample(
            sample, step="p", params={}, pixel_maps=[sign * turned] * 3, sizes=[(16, 16)] * 3
        )
        for sign in (1.0, -2.0)
    )
    assert digest_views(one.views) == digest_views(other.views)
    pixels = np.array([[3.0, 4.0]])
    for moved in (one, other):
        np.testing.assert_allclose(history.to_raw_pixels(pixels, 0, moved.provenance), 2 * pixels)


def test_rounding_to_8_bits(sample):
    deep = replace(
        sample, views=tuple(replace(v, rgb=v.rgb.astype(np.uint16) * 257) for v in sample.views)
    )
    kept = warp_sample(deep, step="p", params={})
    assert kept.views[0].rgb.dtype == np.uint16
    rounded = warp_sample(deep, step="p", params={}, bits=8)
    assert np.array_equal(rounded.views[0].rgb, sample.views[0].rgb)
    assert digest_views(rounded.views) == digest_views(sample.views)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"pixel_maps": [np.eye(3)]}, ShapeError, "pixel_maps of 3 views, got 1"),
        ({"sizes": [(8, 8)] * 4}, ShapeError, "sizes of 3 views, got 4"),
        ({"order": [0, 0]}, RangeError, r"indices from 0 to 2, got \[0, 0\]"),
        ({"order": [3]}, RangeError, r"got \[3\]"),
        ({"order": [-1]}, RangeError, r"got \[-1\]"),
        ({"order": []}, RangeError, r"got \[\]"),
        ({"pixel_maps": [np.eye(4)] * 3}, ShapeError, r"expected \[3, 3\], got \[4, 4\]"),
        ({"pixel_maps": [np.diag([-1.0, 1.0, 1.0])] * 3}, RangeError, "mirrors"),
        ({"sizes": [(0, 8)] * 3}, RangeError, "height"),
    ],
)
def test_impossible_moves_are_refused(sample, arguments, error, words):
    with pytest.raises(error, match=words):
        warp_sample(sample, step="p.c", params={}, **arguments)


def test_replace_pixels_takes_other_colours_and_masks(sample):
    views = [replace(view, rgb=255 - view.rgb, mask=None) for view in sample.views]
    changed = replace_pixels(sample, views, step="p.c", params={"k": 2})
    assert np.array_equal(changed.views[1].rgb, 255 - sample.views[1].rgb)
    step = changed.provenance[-1]
    assert (step.step, step.params, step.exact) == ("p.c", {"k": 2}, True)
    assert step.digest == digest_views(views)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda v: replace(v, name="x"), RangeError, "view cam0 with its camera .*, got x with"),
        (lambda v: replace(v, c2w=np.eye(4)), RangeError, "cam0 with another camera"),
        (lambda v: replace(v, fxfycxcy=v.fxfycxcy + 1), RangeError, "another camera"),
        (lambda v: replace(v, rgb=v.rgb[1:], mask=v.mask[1:]), ShapeError, r"got \[31, 32, 3\]"),
        (lambda v: replace(v, mask=v.mask[1:]), ShapeError, r"mask of \[32, 32\] for view cam0"),
    ],
)
def test_replace_pixels_refuses_what_moved(sample, change, error, words):
    views = [change(sample.views[0]), *sample.views[1:]]
    with pytest.raises(error, match=words):
        replace_pixels(sample, views, step="p.c", params={})


def test_replace_pixels_wants_all_views(sample):
    with pytest.raises(ShapeError, match="expected 3 views, got 2"):
        replace_pixels(sample, sample.views[:2], step="p.c", params={})


def test_relabelled_cameras_are_never_called_exact(sample):
    cameras = sample.cameras
    nearer = cameras.c2w.copy()
    nearer[:, :3, 3] /= 2
    labelled = relabel_cameras(sample, replace(cameras, c2w=nearer), step="p.c", params={"e": 0.1})
    assert labelled.views[0].rgb is sample.views[0].rgb
    assert np.array_equal(labelled.cameras.c2w, nearer)
    assert labelled.provenance[-1].exact is False


def test_relabel_wants_one_camera_of_the_pictures_size_per_view(sample):
    cameras = sample.cameras
    with pytest.raises(ShapeError, match=r"expected 3 cameras, got \[2\]"):
        relabel_cameras(sample, cameras[:2], step="p.c", params={})
    other = Cameras(cameras.c2w, cameras.fxfycxcy, height=16, width=16)
    with pytest.raises(ShapeError, match=r"view cam0's size \[32, 32\], got \[16, 16\]"):
        relabel_cameras(sample, other, step="p.c", params={})
