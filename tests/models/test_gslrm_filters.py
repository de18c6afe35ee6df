"""What FaceLift's programs drop: golden indices, and borders worked by hand."""

import pytest
import torch

from mfl_adapt.models.gslrm.filters import DEMO, EXPORT, SCRIPT, FilterSettings, kept_indices
from mfl_adapt.models.gslrm.gaussians import RawGaussians
from mfl_adapt.types import Gaussians

NEAR_FAR = FilterSettings(opacity=0.05, distance_quantiles=(0.01, 0.99))


def gaussians(means, scale=0.01, opacity=0.5):
    means = torch.tensor(means, dtype=torch.float32)[None]
    count = means.shape[1]
    return Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).expand(1, count, 4),
        scales=torch.full((1, count, 3), scale),
        opacities=torch.full((1, count), opacity),
        sh=torch.zeros(1, count, 1, 3),
    )


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "settings"),
    [("cli", SCRIPT), ("gradio", DEMO), ("training", EXPORT), ("nearfar", NEAR_FAR)],
)
def test_golden_indices(golden, name, settings):
    stored = {
        field: golden[f"a.gs.{field}"]
        for field in ("xyz", "features", "scaling", "rotation", "opacity")
    }
    scene = RawGaussians(**stored, grid=(6, 64, 64), patch=8).activate()
    centers = torch.tensor([[0.0, -2.7, 0.0], [2.7, 0.0, 0.0]])
    kept = kept_indices(scene, settings, centers=centers)
    assert torch.equal(kept.int(), golden[f"misc.filter.{name}.kept"])


def test_opacity_is_strict():
    scene = gaussians([[0, 0, 0], [0, 0, 0]])
    scene.opacities[0, 0] = 0.25
    assert kept_indices(scene, FilterSettings(opacity=0.25)).tolist() == [1]


def test_size_counts_only_below_the_ground():
    scene = gaussians([[0, 0, 0.1], [0, 0, 0], [0, 0, -0.1]], scale=0.5)
    assert kept_indices(scene, FilterSettings(opacity=0, scale=0.5)).tolist() == [0]


def test_one_long_axis_is_enough_to_drop():
    scene = gaussians([[0, 0, -1], [0, 0, -1]])
    scene.scales[0, 0, 2] = 0.3
    assert kept_indices(scene, FilterSettings(opacity=0, scale=0.2)).tolist() == [1]


def test_floaters_need_all_three_coordinates():
    far = [[0.7, -0.7, -0.7], [0.7, 0.7, 0.7], [0.7, 0.5, -0.7], [0.5, 0.7, -0.7]]
    assert kept_indices(gaussians(far), FilterSettings(opacity=0, floater=0.6)).tolist() == [
        1,
        2,
        3,
    ]


def test_box_keeps_its_border():
    scene = gaussians([[0.5, 0, 0], [0.5001, 0, 0], [0, -0.25, 1], [0, 0, -1.01]])
    box = (-0.5, 0.5, -0.25, 0.25, -1.0, 1.0)
    assert kept_indices(scene, FilterSettings(opacity=0, box=box)).tolist() == [0, 2]


def test_quantiles_interpolate_over_what_is_left():
    # Distances 0, 1, 2, 3, 4 from the camera: the quantiles 0.1 and 0.9 are 0.4 and 3.6.
    line = gaussians([[float(x), 0, 0] for x in range(5)])
    settings = FilterSettings(opacity=0, distance_quantiles=(0.1, 0.9))
    assert kept_indices(line, settings, centers=torch.zeros(1, 3)).tolist() == [1, 2, 3]
    assert kept_indices(line, settings).tolist() == [0, 1, 2, 3, 4]


def test_nothing_left_is_an_empty_answer():
    settings = FilterSettings(opacity=0.9, distance_quantiles=(0.1, 0.9))
    assert kept_indices(gaussians([[0, 0, 0]]), settings, centers=torch.zeros(1, 3)).numel() == 0
