"""What constant pictures score, by the formula of the field."""

import math

import pytest
import torch

from mfl_adapt.errors import ShapeError
from mfl_adapt.metrics import (
    constant_baseline,
    mean_colour,
    mean_colour_baseline,
    white_baseline,
)


@pytest.fixture
def animal():
    """A dark patch on white that covers a quarter of the frame."""
    target = torch.ones(1, 2, 3, 8, 8)
    mask = torch.zeros(1, 2, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    target[..., 2:6, 2:6] = 0.2
    return target, mask


def test_white_scores_by_share_and_contrast(animal):
    score = white_baseline(*animal)
    # -10 log10(f (1 - c)^2) with f = 1/4 and c = 0.2; the subject alone has f = 1.
    assert score.full.shape == (1, 2)
    assert score.full[0, 0].item() == pytest.approx(-10 * math.log10(0.25 * 0.64), abs=1e-4)
    assert score.foreground[0, 1].item() == pytest.approx(-10 * math.log10(0.64), abs=1e-4)
    assert torch.equal(score.picture, torch.ones(1, 2, 3, 8, 8))


def test_mean_colour_is_the_best_constant_over_the_frame(animal):
    target, mask = animal
    colour = mean_colour(target)
    torch.testing.assert_close(colour, torch.full((3,), 0.8))
    best = mean_colour_baseline(target, mask).full
    for other in (0.75, 0.85, 1.0):
        assert (constant_baseline(target, mask, torch.full((3,), other)).full < best).all()


def test_mean_colour_can_come_from_other_pictures(animal):
    target, mask = animal
    seen = torch.full((5, 3, 2, 2), 0.2)
    assert mean_colour_baseline(target, mask, seen=seen).foreground.min() > 90


def test_channels_are_kept_apart():
    rgb = torch.zeros(2, 3, 4, 4)
    rgb[:, 1] = 1
    torch.testing.assert_close(mean_colour(rgb), torch.tensor([0.0, 1.0, 0.0]))


def test_shapes_are_checked(animal):
    with pytest.raises(ShapeError, match="constant_baseline: colour"):
        constant_baseline(*animal, torch.ones(4))
    with pytest.raises(ShapeError, match="mean_colour: rgb"):
        mean_colour(torch.zeros(2, 4, 4, 3))
