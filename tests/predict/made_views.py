"""Bases whose views are known: exact drawings, and samplings with white put around them."""

import numpy as np
import torch

from mfl_adapt.images import composite
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.sampling import GeneratedViews
from mfl_adapt.predict.sources import Source
from mfl_adapt.synth import render_sample

SIZE = 64


class DrawnViews(FrozenMVDiffusion):
    """A base that draws exactly what the slots' cameras see of the head in the picture."""

    def __init__(self):
        super().__init__(build_fresh(), id="drawn.views")
        self.calls = []

    def generate(self, pictures, prompt_embeds, **settings):
        index = int(pictures[0, 0, 0])  # the corner tells which head it is
        self.calls.append(index)
        views = [
            composite(view.rgb, view.mask, 1.0)
            for view in render_sample("heads", index, rig="slots", size=SIZE).views
        ]
        images = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float()
        settings["progress"](0, 1, images)
        return GeneratedViews(images, images)


class SampledViews(FrozenMVDiffusion):
    """A fresh model's own sampling inside a disc, and white around it."""

    def __init__(self, seed=0):
        super().__init__(build_fresh(FreshSizes(), seed=seed), id="sampled.views")

    def generate(self, pictures, prompt_embeds, **settings):
        made = super().generate(pictures, prompt_embeds, **settings)
        y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
        disc = torch.from_numpy(x * x + y * y < 20**2)
        return made._replace(images=torch.where(disc, 0.8 * made.images, torch.ones(())))


class Heads:
    """Pictures whose corner numbers a head, in memory."""

    def __init__(self, *indices, session="s"):
        self.indices, self.session = indices, session

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        number = self.indices[index]
        rgb = np.full((SIZE, SIZE, 3), number, np.uint8)
        params = {"file": f"head{number}.png"}
        return Source(f"head{number}", rgb, params, session=self.session, time_s=float(number))

    def describe(self):
        return {"heads": list(self.indices)}
