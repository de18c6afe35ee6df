"""The methods that the benchmark compares with: they do what they are said to do, and no more."""

import importlib.util
import sys

import numpy as np
import pytest
from helpers import ROOT
from raw_rig import RAW_WORLD, raw_mouse

from mfl_adapt.cameras import history
from mfl_adapt.images import measure_foreground

SIZE = 128


@pytest.fixture(scope="module")
def legacy():
    file = ROOT / "benchmarks" / "legacy_normalizers.py"
    spec = importlib.util.spec_from_file_location("legacy_normalizers", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_crop_is_exact_and_square(legacy):
    result = legacy.crop_square(raw_mouse(), SIZE)
    assert history.round_trip_px(result).max() < 1e-9
    assert all(view.rgb.shape == (SIZE, SIZE, 3) for view in result.views)


def test_n1_overwrites_the_intrinsics(legacy):
    result = legacy.LEGACY["N1"](raw_mouse(), SIZE)
    focal = SIZE / 2 / np.tan(np.radians(25.0))
    assert result.cameras.fxfycxcy == pytest.approx(np.tile([focal, focal, 64, 64], (6, 1)))
    assert np.linalg.norm(result.cameras.centers, axis=1).mean() == pytest.approx(2.7)
    assert result.provenance[-1].world.translation == (0.0, 0.0, 0.0)


def test_n2_is_exact_but_its_center_is_not_the_subject(legacy):
    result = legacy.LEGACY["N2"](raw_mouse(), SIZE)
    assert np.linalg.norm(result.cameras.centers, axis=1).mean() == pytest.approx(2.7)
    assert history.round_trip_px(result).max() < 1e-9
    subject = history.from_raw_world(np.array(RAW_WORLD.translation), result.provenance)
    assert np.linalg.norm(subject) > 0.05


def test_n5_puts_every_camera_at_the_same_distance(legacy):
    result = legacy.LEGACY["N5"](raw_mouse(), SIZE)
    np.testing.assert_allclose(np.linalg.norm(result.cameras.centers, axis=1), 2.7)


def test_s5_gives_every_mask_one_place_and_size(legacy):
    result = legacy.LEGACY["S5"](raw_mouse(), SIZE)
    for view in result.views:
        measures = measure_foreground(view.mask)
        assert np.sqrt(measures.share) == pytest.approx(0.3, abs=0.02)
        np.testing.assert_allclose(measures.centroid, 64, atol=1.5)


@pytest.mark.parametrize("name", ["N1", "N5", "S5"])
def test_what_is_not_exact_says_so_and_is_far_off(legacy, name):
    result = legacy.LEGACY[name](raw_mouse(), SIZE)
    assert not result.provenance[-1].exact
    assert history.round_trip_px(result).max() > 5.0
