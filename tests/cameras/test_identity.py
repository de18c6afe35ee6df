"""Cameras are told apart by a hash, led back through a history, and compared in numbers."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring, facelift_slots, lab_rig
from mfl_adapt.cameras.identity import hash_cameras, measure_gap, to_raw_cameras, undo_history
from mfl_adapt.errors import ShapeError
from mfl_adapt.images import RawView, begin_sample, warp_sample
from mfl_adapt.types import Cameras, Similarity

SLOTS = to_raw_cameras(facelift_slots(64))


def sample_of(cameras):
    views = []
    for index, camera in enumerate(to_raw_cameras(cameras)):
        rgb = np.full((camera.height, camera.width, 3), 90, np.uint8)
        views.append(RawView(f"view{index}", rgb, rgb[:, :, 0], camera))
    return begin_sample("one", views, step="reader", params={})


def turned(degrees, camera):
    """The camera turned about its own x axis."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]])
    return replace(camera, c2w=tuple(map(tuple, (np.array(camera.c2w) @ turn).tolist())))


def test_a_hash_knows_cameras_by_their_numbers():
    assert hash_cameras(SLOTS) == hash_cameras(to_raw_cameras(facelift_slots(64)))
    others = {
        "order": SLOTS[::-1],
        "size": to_raw_cameras(facelift_slots(96)),
        "rig": to_raw_cameras(lab_rig(64)),
        "one turned": (turned(0.01, SLOTS[0]), *SLOTS[1:]),
        "one fewer": SLOTS[:5],
    }
    hashes = {hash_cameras(each) for each in others.values()}
    assert len(hashes | {hash_cameras(SLOTS)}) == 1 + len(others)


def test_a_hash_does_not_see_rounding_or_the_sign_of_zero():
    noisy = [
        replace(one, c2w=tuple(tuple(v + 1e-12 for v in row) for row in one.c2w)) for one in SLOTS
    ]
    negated = [
        replace(one, c2w=tuple(tuple(-0.0 if v == 0 else v for v in row) for row in one.c2w))
        for one in SLOTS
    ]
    assert hash_cameras(noisy) == hash_cameras(negated) == hash_cameras(SLOTS)


def test_the_hash_is_of_canonical_json():
    """Worked by hand for one camera, so that a stored hash can be checked without this code."""
    import hashlib

    identity = Cameras(np.eye(4)[None], np.array([[2.0, 2.0, 1.0, 1.5]]), height=3, width=2)
    text = (
        '[{"c2w":[[1.0,0.0,0.0,0.0],[0.0,1.0,0.0,0.0],[0.0,0.0,1.0,0.0],[0.0,0.0,0.0,1.0]],'
        '"fxfycxcy":[2.0,2.0,1.0,1.5],"height":3,"width":2}]'
    )
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert hash_cameras(to_raw_cameras(identity)) == expected


def test_one_set_of_cameras_is_wanted():
    batch = facelift_slots(64)
    batch = Cameras(batch.c2w[None], batch.fxfycxcy[None], height=64, width=64)
    with pytest.raises(ShapeError, match=r"expected c2w \[V, 4, 4\], got \[1, 6, 4, 4\]"):
        to_raw_cameras(batch)


def test_cameras_come_back_through_exact_steps():
    """Crop, resize, a turn about the camera's centre, another order, and a move of the world."""
    start = sample_of(lab_rig(64))
    recorded = start.provenance[0].raw_cameras
    crop = np.array([[1.5, 0, -7.0], [0, 1.5, 3.0], [0, 0, 1]])
    angle = np.radians(5.0)
    tilt = np.array([
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ])
    maps = []
    for view in start.views:
        fx, fy, cx, cy = view.fxfycxcy
        lens = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        maps.append(crop @ lens @ tilt @ np.linalg.inv(lens))
    third = np.sqrt(0.75)
    world = Similarity(0.4, ((0.5, -third, 0.0), (third, 0.5, 0.0), (0.0, 0.0, 1.0)), (0.1, 2, -3))
    moved = warp_sample(start, step="a", params={}, pixel_maps=maps, sizes=[(80, 72)] * 6)
    moved = warp_sample(moved, step="b", params={}, order=[4, 0, 2], world=world)
    back = undo_history(moved, recorded)
    assert [place for place, _ in back] == [4, 0, 2]
    gap = measure_gap([one for _, one in back], [recorded[place] for place, _ in back])
    assert gap.share < 1e-12
    # The finished cameras themselves are far from the recorded ones.
    finished = to_raw_cameras(moved.cameras)
    assert measure_gap(finished, [recorded[place] for place in (4, 0, 2)]).share > 0.1


def test_gaps_are_angle_distance_and_lens():
    far = np.array(SLOTS[2].c2w)
    far[:3, 3] *= 1.1
    longer = replace(SLOTS[3], fxfycxcy=(SLOTS[3].fxfycxcy[0] + 6.4, *SLOTS[3].fxfycxcy[1:]))
    found = [SLOTS[0], turned(2.0, SLOTS[1]), replace(SLOTS[2], c2w=tuple(map(tuple, far))), longer]
    gap = measure_gap(found, SLOTS[:4])
    assert gap.angle_deg == pytest.approx(2.0)
    assert gap.position == pytest.approx(0.27)
    assert gap.lens_px == pytest.approx(6.4)
    # 6.4 of 64 pixels and 0.27 of 2.7 units are a tenth each; two degrees are less.
    assert gap.share == pytest.approx(0.1)
    assert gap.view in {2, 3}
    assert measure_gap(SLOTS, SLOTS) == (0.0, 0.0, 0.0, 0.0, 0)


def test_the_opposite_ring_is_half_a_turn_away():
    back = to_raw_cameras(facelift_ring(2, 0.0, size=64, phase_deg=90.0))
    gap = measure_gap(back[:1], SLOTS[:1])
    assert gap.angle_deg == pytest.approx(180.0)
    assert gap.position == pytest.approx(5.4)
