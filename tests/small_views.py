"""A multi-view diffusion model that a test can run in milliseconds, and rigs to show it."""

import numpy as np
import torch

from mfl_adapt.cameras import orbit
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.types import Cameras

SIZES = FreshSizes(
    latent=4,
    channels=(16, 32),
    heads=(2, 2),
    groups=4,
    vae_channels=(8, 8),
    vae_groups=4,
    embed_width=8,
    tower_width=16,
    crop=16,
    text_width=16,
)
"""8 px pictures and 4 x 4 latents."""

SIZE = 8


def make_views_base(*, seed=0, id="test.views"):
    return FrozenMVDiffusion(build_fresh(SIZES, seed=seed), id=id)


def make_rig(azimuths=(270.0, 200.0, 45.0), elevations=(10.0, 30.0, -5.0), *, turn=0.0):
    """Cameras [V] that look at the origin, turned about +z."""
    count = len(azimuths)
    distances, ratios = np.full(count, 2.7), np.full(count, 1.07225)
    return orbit(np.asarray(azimuths) + turn, elevations, distances, ratios, SIZE)


def to_items(cameras, *, objects=1):
    """The same rig for every object, as the network takes it: one camera per item, float32."""
    return Cameras(
        torch.as_tensor(cameras.c2w).float().repeat(objects, 1, 1),
        torch.as_tensor(cameras.fxfycxcy).float().repeat(objects, 1),
        height=cameras.height,
        width=cameras.width,
    )


def inputs(*, objects=1, views=3, seed=0):
    """What the network is called with, beside cameras."""
    generator = torch.Generator().manual_seed(seed)
    items = objects * views
    drawn = [
        torch.randn(shape, generator=generator)
        for shape in ((items, 8, 4, 4), (items, 77, 16), (items, 16))
    ]
    return {
        "sample": drawn[0],
        "timestep": torch.tensor(500),
        "encoder_hidden_states": drawn[1],
        "class_labels": drawn[2],
    }


def output(base, cameras=None, *, objects=1, views=3):
    """One prediction of the network, [N, 4, 4, 4]."""
    with torch.no_grad(), base.module.viewing(views):
        return base.module(**inputs(objects=objects, views=views), cameras=cameras).sample
