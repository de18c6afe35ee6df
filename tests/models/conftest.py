"""Golden numbers, small networks and cameras for the tests of this room."""

import numpy as np
import pytest
import torch
from helpers import shared_path
from safetensors.torch import load_file

from mfl_adapt.models.gslrm.config import GSLRMConfig, read_config
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.types import Cameras

SMALL = GSLRMConfig(image_size=16, patch_size=8, d=32, d_head=16, n_layer=2)


NUM_INPUTS = {"a": 6, "b": 4, "c": 2}


class Golden:
    """Tensors that the real model wrote; cases a, b and c are described in their README."""

    def __init__(self):
        self.tensors = load_file(shared_path("reference/gslrm_tiny.safetensors"))
        self.config = read_config(shared_path("reference/gslrm_tiny_config.json"))

    def __getitem__(self, name):
        return self.tensors[name]

    def group(self, prefix):
        start = len(prefix)
        return {k[start:]: v for k, v in self.tensors.items() if k.startswith(prefix)}

    def inputs(self, case):
        views = NUM_INPUTS[case]
        rgb = self[f"{case}.in.image"][:, :views, :3]
        height, width = rgb.shape[-2:]
        c2w, fxfycxcy = (self[f"{case}.in.{k}"][:, :views] for k in ("c2w", "fxfycxcy"))
        return rgb, Cameras(c2w, fxfycxcy, height=height, width=width)

    def model(self, config=None):
        model = GSLRM(config or self.config)
        model.load_state_dict(self.group("weights."), strict=True)
        return model.eval()


@pytest.fixture(scope="session")
def golden():
    return Golden()


@pytest.fixture
def small_model():
    """A small network with random weights that are large enough to matter."""
    model = GSLRM(SMALL, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.dim() == 2 else 1)
    return model.eval()


def ring(views, height=16, width=16, batch=1, radius=2.7):
    """Cameras around the z axis that look at the origin, as the frozen models expect them."""
    poses = []
    for azimuth in np.deg2rad(270 + 360 / views * np.arange(views)):
        center = radius * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        forward = -center / radius
        right = np.cross(forward, [0.0, 0.0, 1.0])
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(forward, right), forward, center], axis=1)
        poses.append(pose)
    c2w = np.broadcast_to(np.stack(poses), (batch, views, 4, 4)).copy()
    intrinsics = np.array([1.07225 * width, 1.07225 * width, width / 2, height / 2])
    fxfycxcy = np.broadcast_to(intrinsics, (batch, views, 4)).copy()
    return Cameras(c2w, fxfycxcy, height=height, width=width)


def scene(views=2, batch=1, height=16, width=16):
    """Random pictures with ring cameras, as float32 tensors."""
    rgb = torch.rand(batch, views, 3, height, width, generator=torch.Generator().manual_seed(1))
    cameras = ring(views, height, width, batch)
    c2w, fxfycxcy = (torch.tensor(x).float() for x in (cameras.c2w, cameras.fxfycxcy))
    return rgb, Cameras(c2w, fxfycxcy, height=height, width=width)


@pytest.fixture(name="scene")
def scene_fixture():
    return scene


@pytest.fixture(name="ring")
def ring_fixture():
    return ring
