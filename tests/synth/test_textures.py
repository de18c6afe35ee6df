import numpy as np
import pytest

from mfl_adapt.synth import Ellipsoid, Patch, Wave, make_scene
from mfl_adapt.synth.constants import (
    AMBIENT,
    LIGHT_DIRECTION,
    MAX_CYCLES_PER_UNIT,
    MIN_PATCH_SIGMA,
)
from mfl_adapt.synth.ellipsoids import rotation_about
from mfl_adapt.synth.textures import albedo, paint, random_waves

LIGHT = np.array(LIGHT_DIRECTION) / np.linalg.norm(LIGHT_DIRECTION)


def plain(**changes):
    settings = {"name": "x", "center": np.zeros(3), "radii": np.ones(3), "color": (0.5, 0.4, 0.3)}
    return Ellipsoid(**(settings | changes))


def test_wave_by_hand():
    part = plain(waves=[Wave((2.0, 0.0, 0.0), 0.25, (0.1, 0.0, -0.2))])
    # At x = 0.125 the phase is 2 * 0.125 + 0.25 = half a cycle, where the sine is 0; at 0 it is 1.
    points = np.array([[0.0, 0.125], [0.0, 0.0], [0.0, 0.0]])
    expected = np.array([[0.6, 0.5], [0.4, 0.4], [0.1, 0.3]])
    np.testing.assert_allclose(albedo(part, points), expected, atol=1e-12)


def test_patch_by_hand():
    part = plain(patches=[Patch((0.0, 0.0, 0.5), (0.1, 0.1, 0.2), (1.0, 0.0, 0.0), 0.5)])
    # In its middle half of the colour; two sigmas away half of exp(-2).
    points = np.array([[0.0, 0.0], [0.0, 0.0], [0.5, 0.9]])
    share = np.array([0.5, 0.5 * np.exp(-2.0)])
    expected = np.array([0.5 + share * 0.5, 0.4 - share * 0.4, 0.3 - share * 0.3])
    np.testing.assert_allclose(albedo(part, points), expected, atol=1e-12)


def test_light_is_wrapped_lambert_fixed_in_the_world():
    part = plain(rotation=rotation_about(2, 40.0))
    points = (part.rotation.T @ np.stack([LIGHT, -LIGHT], axis=1)).copy()
    shaded = paint(part, points)
    np.testing.assert_allclose(shaded[:, 0], part.color, atol=1e-12)
    np.testing.assert_allclose(shaded[:, 1], AMBIENT * np.array(part.color), atol=1e-12)


def test_normals_of_a_stretched_part():
    # On (x/2)^2 + y^2 + z^2 = 1 at unit point (s, s, 0) the normal is along (s/2, s, 0).
    part = plain(radii=np.array([2.0, 1.0, 1.0]), color=(1.0, 1.0, 1.0))
    s = np.sqrt(0.5)
    normal = np.array([s / 2, s, 0.0])
    cosine = normal @ LIGHT / np.linalg.norm(normal)
    expected = AMBIENT + (1 - AMBIENT) * (1 + cosine) / 2
    assert paint(part, np.array([[s], [s], [0.0]]))[0, 0] == pytest.approx(expected)


def test_colours_stay_in_range():
    part = plain(color=(0.95, 0.5, 0.02), waves=[Wave((1.0, 0.0, 0.0), 0.0, (0.5, 0.5, 0.5))])
    angles = np.linspace(0, 2 * np.pi, 50)
    colors = paint(part, np.stack([np.cos(angles), np.sin(angles), np.zeros(50)]))
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_random_waves_keep_their_band():
    rng = np.random.default_rng(0)
    waves = random_waves(rng, 200, cycles=(1.0, 50.0), amplitude=0.1)
    cycles = [np.linalg.norm(wave.vector) for wave in waves]
    assert min(cycles) >= 1.0 - 1e-9
    assert max(cycles) <= MAX_CYCLES_PER_UNIT + 1e-9
    assert np.abs([wave.amplitude for wave in waves]).max() <= 0.1


@pytest.mark.parametrize("species", ["heads", "mice"])
def test_scenes_keep_the_documented_bandwidth(species):
    for seed in range(60):
        for part in make_scene(species, seed).ellipsoids:
            for wave in part.waves:
                assert np.linalg.norm(wave.vector) <= MAX_CYCLES_PER_UNIT
            for patch in part.patches:
                assert min(patch.sigma) >= MIN_PATCH_SIGMA
