"""A small frozen GS-LRM with fixed pictures, and an adapter method on it."""

from dataclasses import dataclass

import peft
import torch

from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.types import Cameras


@dataclass
class Method:
    """The smallest thing that fits the slot."""

    config: peft.PeftConfig

    def peft_config(self, module):
        return self.config


def make_base(*, seed=3, sha256="a" * 64, layers=2):
    """A network small enough for milliseconds, with weights large enough to matter."""
    config = GSLRMConfig(image_size=16, patch_size=8, d=32, d_head=16, n_layer=layers)
    model = GSLRM(config, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.dim() == 2 else 1)
    return FrozenGSLRM(model, id="test.small", sha256=sha256)


def make_lora(**changes):
    settings = {"r": 4, "lora_alpha": 4, "target_modules": ["to_qkv", "fc", "mlp.0", "mlp.2"]}
    return Method(peft.LoraConfig(**settings | changes))


def output(base):
    """All numbers that the network returns for one fixed scene, as a vector."""
    rgb = torch.rand(1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    c2w = torch.eye(4).expand(1, 2, 4, 4).clone()
    c2w[..., 2, 3] = -2.7
    intrinsics = torch.tensor([17.2, 17.2, 8.0, 8.0]).expand(1, 2, 4)
    gaussians = base.reconstruct(rgb, Cameras(c2w, intrinsics, height=16, width=16))
    fields = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    return torch.cat([field.flatten() for field in fields])


def train_a_little(adapter, *, seed=0):
    """Stand in for a training: move every weight of the adapter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
