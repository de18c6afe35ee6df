"""Bases that answer at once, so that what is around them can be tested."""

import numpy as np
import torch

from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.models.mvdiffusion.config import TINY_CONTRACT
from mfl_adapt.types import Gaussians

COLOURS = (
    (200, 40, 40),
    (40, 160, 40),
    (40, 40, 200),
    (90, 90, 90),
    (200, 160, 40),
    (120, 40, 160),
)


class Made:
    def __init__(self, views):
        self.views = views

    def to_bytes(self):
        return torch.from_numpy(self.views)


class ViewsStandIn:
    """Gives the views it was made with, or a disc of another colour for each slot."""

    id = "stand_in.views"
    sha256 = "1" * 64
    fingerprint = "2" * 64
    contract = TINY_CONTRACT

    def __init__(self, views=None):
        self.module = torch.nn.Linear(1, 1)
        self.views = discs() if views is None else views
        self.seen = []

    @property
    def prompt_embeds(self):
        return torch.zeros(6, 77, 4)

    def generate(self, pictures, prompt_embeds, **settings):
        self.seen.append((np.array(pictures), settings))
        for step in range(settings["steps"]):
            settings["progress"](step, 0, None)
        return Made(self.views)


class GaussiansStandIn:
    """Gives a dozen Gaussians, half of which are transparent, whatever it sees."""

    id = "stand_in.gaussians"
    sha256 = "3" * 64
    fingerprint = "4" * 64
    contract = TINY.contract()

    def __init__(self):
        self.module = torch.nn.Linear(1, 1)
        self.seen = []

    def reconstruct(self, rgb, cameras):
        self.seen.append((rgb, cameras))
        means = torch.linspace(-0.5, 0.5, 36).view(1, 12, 3)
        quats = torch.tensor([1.0, 0, 0, 0]).expand(1, 12, 4)
        opacities = torch.tensor([0.9, 0.01] * 6)[None]
        return Gaussians(
            means, quats, torch.full((1, 12, 3), 0.1), opacities, torch.zeros(1, 12, 1, 3)
        )


def discs(size=64):
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    disc = (x * x + y * y < 20**2)[..., None]
    return np.stack([np.where(disc, np.uint8(colour), np.uint8(255)) for colour in COLOURS])


def ball(height=80, width=120, *, center=(70.0, 30.0), radius=18.0):
    """A dark disc in a grey frame: colour, alpha."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2
    rgb = np.where(inside[..., None], np.uint8((60, 90, 120)), np.uint8(128))
    return rgb.astype(np.uint8), np.where(inside, 255, 0).astype(np.uint8)
