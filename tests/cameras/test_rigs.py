import json

import numpy as np
import pytest
from helpers import shared_path

from mfl_adapt.cameras import (
    FACELIFT_FOCAL_RATIO,
    FACELIFT_SLOTS_DEG,
    facelift_ring,
    facelift_slots,
    lab_rig,
    project,
    random_rig,
    turntable,
)
from mfl_adapt.errors import DataError, RangeError


def rigs():
    return {
        "ring": facelift_ring(size=64),
        "slots": facelift_slots(64),
        "turntable": turntable(8, 64),
        "lab": lab_rig(64),
        "random": random_rig(np.random.default_rng(3), 9, size=64),
    }


def azimuths_deg(cameras):
    return np.degrees(np.arctan2(cameras.centers[:, 1], cameras.centers[:, 0])) % 360


@pytest.mark.parametrize("name", ["ring", "slots", "turntable", "lab", "random"])
def test_cameras_are_proper_and_see_the_origin_in_the_middle(name):
    cameras = rigs()[name]
    assert cameras.c2w.dtype == np.float64
    np.testing.assert_allclose(np.linalg.det(cameras.c2w[:, :3, :3]), 1.0, atol=1e-12)
    towards = -cameras.centers / np.linalg.norm(cameras.centers, axis=1, keepdims=True)
    np.testing.assert_allclose(cameras.forward, towards, atol=1e-12)
    pixels, _ = project(np.zeros((1, 3)), cameras.c2w, cameras.fxfycxcy)
    np.testing.assert_allclose(pixels[:, 0], 32.0, atol=1e-9)


def load(path):
    frames = json.loads(shared_path(path).read_text())["frames"]
    c2w = np.stack([np.linalg.inv(np.array(frame["w2c"])) for frame in frames])
    fxfycxcy = np.array([[frame[key] for key in ("fx", "fy", "cx", "cy")] for frame in frames])
    return c2w, fxfycxcy


@pytest.mark.golden
def test_ring_reproduces_the_upstream_sample():
    c2w, fxfycxcy = load("data/facelift_gslrm_sample/opencv_cameras.json")
    ring = facelift_ring(32, size=512)
    np.testing.assert_allclose(ring.c2w, c2w, atol=1e-6)
    np.testing.assert_allclose(ring.fxfycxcy, fxfycxcy, atol=1e-6)


@pytest.mark.golden
def test_slots_are_the_inference_cameras_in_slot_order():
    c2w, fxfycxcy = load("data/facelift_inference_cameras.json")
    order = [2, 1, 0, 5, 4, 3]
    slots = facelift_slots(512)
    np.testing.assert_allclose(slots.c2w, c2w[order], atol=1e-6)
    np.testing.assert_allclose(slots.fxfycxcy, fxfycxcy[order], atol=1e-6)


@pytest.mark.golden
def test_turntable_equals_the_reference():
    from safetensors.numpy import load_file

    golden = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    expected = golden["misc.turntable.fxfycxcy"]
    table = turntable(len(expected), round(2 * float(expected[0, 2])))
    np.testing.assert_allclose(table.c2w, golden["misc.turntable.c2w"], atol=1e-6)
    np.testing.assert_allclose(table.fxfycxcy, expected, rtol=1e-6)


def test_slots_by_azimuth():
    np.testing.assert_allclose(azimuths_deg(facelift_slots(64)), FACELIFT_SLOTS_DEG, atol=1e-9)


def test_lab_rig_keeps_the_real_geometry():
    cameras = lab_rig(512)
    distances = np.linalg.norm(cameras.centers, axis=1)
    # Published distances after scaling to a mean of 2.7, rounded to two digits there.
    published = np.array([2.00, 3.38, 2.96, 2.77, 2.59, 2.49])
    np.testing.assert_allclose(distances * 2.7 / distances.mean(), published, atol=0.006)
    # A subject is as large in the pictures as on FaceLift's ring.
    apparent = cameras.fxfycxcy[:, 0] / 512 / distances
    assert apparent.mean() == pytest.approx(FACELIFT_FOCAL_RATIO / 2.7)
    assert cameras.fxfycxcy[:, 0].min() >= 778
    assert cameras.fxfycxcy[:, 0].max() <= 819
    order = np.argsort((azimuths_deg(cameras) + 180) % 360)
    assert order.tolist() == [0, 5, 3, 1, 2, 4]


def test_random_rig_keeps_its_ranges_and_sectors():
    cameras = random_rig(
        np.random.default_rng(0),
        12,
        size=64,
        elevation_deg=(5.0, 30.0),
        distance=(2.0, 3.0),
        focal_ratio=(1.0, 1.5),
    )
    distances = np.linalg.norm(cameras.centers, axis=1)
    elevations = np.degrees(np.arcsin(cameras.centers[:, 2] / distances))
    assert ((elevations >= 5) & (elevations <= 30)).all()
    assert ((distances >= 2) & (distances <= 3)).all()
    ratios = cameras.fxfycxcy[:, 0] / 64
    assert ((ratios >= 1) & (ratios <= 1.5)).all()
    # Neighbours of one-camera sectors are less than two sectors apart.
    gaps = np.diff(np.sort(azimuths_deg(cameras)))
    assert gaps.max() < 2 * 360 / 12


def test_random_rig_repeats_with_its_generator():
    first, again = (random_rig(np.random.default_rng(5), 4) for _ in range(2))
    np.testing.assert_array_equal(first.c2w, again.c2w)


def test_impossible_rigs_are_refused():
    with pytest.raises(RangeError, match=r"num_views.*got 0"):
        facelift_ring(0)
    with pytest.raises(RangeError, match=r"size.*got 0"):
        facelift_slots(0)
    with pytest.raises(RangeError, match=r"elevation_deg.*got 95"):
        random_rig(np.random.default_rng(0), 4, elevation_deg=(0.0, 95.0))
    with pytest.raises(DataError, match="not parallel to up"):
        facelift_ring(4, elevation_deg=90.0)
