"""Gaussians whose colours tell where they are."""

import torch

from mfl_adapt.types import Gaussians

C0 = 0.28209479177387814

# Multiples of 1/5 are whole numbers of 255.
RED, BLUE, GREEN = (0.8, 0.2, 0.2), (0.2, 0.2, 0.8), (0.2, 0.6, 0.2)
YELLOW, PURPLE = (0.8, 0.8, 0.2), (0.6, 0.2, 0.6)
# World axes: the front camera stands at -y, with +x on its right and +z above.
BALLS = {
    (0.55, 0.0, 0.0): RED,
    (-0.55, 0.0, 0.0): BLUE,
    (0.0, 0.0, 0.55): GREEN,
    (0.0, -0.4, 0.0): YELLOW,
    (0.0, 0.4, 0.0): PURPLE,
}


def make_balls(balls=BALLS, scales=(0.1, 0.1, 0.1), quats=(1.0, 0.0, 0.0, 0.0), opacity=0.999):
    """One opaque Gaussian per place."""
    places, colours = torch.tensor([*balls]), torch.tensor([*balls.values()])
    count = len(places)
    return Gaussians(
        means=places[None],
        quats=torch.tensor(quats).expand(1, count, 4),
        scales=torch.tensor(scales).expand(1, count, 3),
        opacities=torch.full((1, count), opacity),
        sh=((colours - 0.5) / C0)[None, :, None],
    )


def make_cloud(count=400):
    """Small tilted discs of all colours, half transparent, in a ball."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(1, count, *shape, generator=generator)

    means = draw(3) - 0.5
    return Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(draw(4) - 0.5, dim=-1),
        scales=0.01 + 0.1 * draw(3),
        opacities=0.2 + 0.7 * draw(),
        sh=((draw(1, 3) - 0.5) / C0),
    )
