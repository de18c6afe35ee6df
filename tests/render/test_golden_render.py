"""The picture that an independent float64 renderer made with gsplat's constants."""

import pytest
import torch
from helpers import shared_path
from safetensors.torch import load_file

from mfl_adapt.render import render
from mfl_adapt.types import Cameras, Gaussians


@pytest.mark.golden
@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_golden_picture(backend):
    data = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    fields = {name: data[f"render.in.{name}"] for name in ("xyz", "rotation", "features")}
    gaussians = Gaussians(
        means=fields["xyz"][None],
        quats=fields["rotation"][None],
        scales=data["render.in.scaling"].exp()[None],
        opacities=data["render.in.opacity"].sigmoid()[None, :, 0],
        sh=fields["features"][None],
    )
    expected = data["render.derived.gsplat_constants"]
    height, width = expected.shape[-2:]
    cameras = Cameras(
        data["render.in.c2w"][None], data["render.in.fxfycxcy"][None], height=height, width=width
    )
    rgb = render(gaussians, cameras, background=1.0, near=0.2, backend=backend).rgb
    torch.testing.assert_close(rgb[0], expected, rtol=0, atol=1e-5)
