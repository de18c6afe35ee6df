"""Where the Gaussians of input pixels are, as losses see them."""

import torch

from mfl_adapt.cameras import orbit
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.plugin import PixelReconstructor
from mfl_adapt.types import Cameras


def test_positions_are_those_of_the_stored_gaussians_with_gradient(small_model):
    base = FrozenGSLRM(small_model, id="test.small", sha256="")
    assert isinstance(base, PixelReconstructor)
    rig = orbit((270.0, 0.0), (0.0, 20.0), (2.7, 2.7), (1.07, 1.07), 16)
    cameras = Cameras(
        torch.tensor(rig.c2w).float()[None],
        torch.tensor(rig.fxfycxcy).float()[None],
        height=16,
        width=16,
    )
    rgb = torch.rand(1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    raw = base.reconstruct_raw(rgb.requires_grad_(), cameras)
    positions = base.pixel_positions(raw.activate(), 2, 16, 16)
    assert torch.equal(positions, raw.pixel_xyz)
    (gradient,) = torch.autograd.grad(positions.sum(), rgb)
    assert gradient.abs().max() > 0
