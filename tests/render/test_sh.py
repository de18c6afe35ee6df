"""Colours from spherical harmonics."""

import math

import numpy as np
import pytest
import torch

from mfl_adapt.errors import ShapeError
from mfl_adapt.render.sh import _basis, colors_from_sh


def test_degree_zero_is_half_plus_the_constant_harmonic_and_never_negative():
    sh = torch.tensor([[[1.0, 0.0, -3.0]]])
    colors = colors_from_sh(sh, torch.zeros(1, 3), torch.ones(5, 3))
    expected = torch.tensor([[[0.5 + 0.28209479, 0.5, 0.0]]])
    torch.testing.assert_close(colors, expected)


def test_degree_one_grows_towards_minus_y_plus_z_minus_x():
    # With c1 = sqrt(3 / 4 pi), the harmonics of degree 1 are -c1 y, c1 z, -c1 x.
    c1 = math.sqrt(3 / (4 * math.pi))
    centers = torch.zeros(1, 3)
    for axis, k in ((1, 1), (2, 2), (0, 3)):
        mean = torch.zeros(1, 3)
        mean[0, axis] = 7.0  # the distance does not matter
        sh = torch.zeros(1, 4, 3)
        sh[0, k, 0] = 0.3
        sign = 1 if axis == 2 else -1
        red = colors_from_sh(sh, mean, centers)[0, 0, 0]
        assert float(red) == pytest.approx(0.5 + sign * 0.3 * c1, abs=1e-6)


def test_harmonics_are_orthonormal_on_the_sphere():
    # Gauss-Legendre in z and even steps in azimuth integrate products of degree 6 exactly.
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(8))
    azimuth = torch.arange(16).double() * (2 * math.pi / 16)
    z, angle = torch.meshgrid(nodes, azimuth, indexing="ij")
    r = (1 - z * z).sqrt()
    basis = _basis(torch.stack([r * angle.cos(), r * angle.sin(), z], -1), 16)
    area = (weights * 2 * math.pi / 16)[:, None].expand_as(z)
    gram = torch.einsum("zak,zal,za->kl", basis, basis, area)
    torch.testing.assert_close(gram, torch.eye(16).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("k", "value"),
    [
        (4, 1.0925484 * 1 * 2),  # x y
        (5, -1.0925484 * 2 * 3),  # -y z
        (6, 0.3153916 * (2 * 9 - 1 - 4)),  # 2 z^2 - x^2 - y^2
        (7, -1.0925484 * 1 * 3),  # -x z
        (8, 0.5462742 * (1 - 4)),  # x^2 - y^2
        (9, -0.5900436 * 2 * (3 - 4)),  # -y (3 x^2 - y^2)
        (10, 2.8906114 * 6),  # x y z
        (11, -0.4570458 * 2 * (36 - 1 - 4)),  # -y (4 z^2 - x^2 - y^2)
        (12, 0.3731763 * 3 * (18 - 3 - 12)),  # z (2 z^2 - 3 x^2 - 3 y^2)
        (13, -0.4570458 * (36 - 1 - 4)),  # -x (4 z^2 - x^2 - y^2)
        (14, 1.4453057 * 3 * (1 - 4)),  # z (x^2 - y^2)
        (15, -0.5900436 * (1 - 12)),  # -x (x^2 - 3 y^2)
    ],
)
def test_signs_and_order_of_degrees_two_and_three(k, value):
    basis = _basis(torch.tensor([1.0, 2.0, 3.0]), 16)
    assert float(basis[k]) == pytest.approx(value, rel=1e-6)


def test_higher_degrees_give_one_colour_per_view():
    sh = torch.randn(6, 9, 3, generator=torch.Generator().manual_seed(0))
    colors = colors_from_sh(sh, torch.rand(6, 3), torch.eye(3) * 5)
    assert colors.shape == (3, 6, 3)
    assert not torch.equal(colors[0], colors[1])


def test_a_count_that_is_no_degree_is_an_error():
    with pytest.raises(ShapeError, match=r"got 5 in sh \[2, 5, 3\]"):
        colors_from_sh(torch.zeros(2, 5, 3), torch.zeros(2, 3), torch.zeros(1, 3))
