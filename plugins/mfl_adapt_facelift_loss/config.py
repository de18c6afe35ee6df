"""Settings of the losses; weights and schedules stand in the run configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig

PUBLISHED_MD5 = "106118b7cf60435e6d8e04f6a6dc3657"
"""Of ``imagenet-vgg-verydeep-19.mat``, as the GS-LRM authors used it."""


class L2Config(ComponentConfig):
    """``l2`` has nothing to set."""


class SSIMConfig(ComponentConfig):
    """``ssim`` has nothing to set: its window is the one everybody reports."""


class PerceptualConfig(ComponentConfig):
    """Settings of ``perceptual``."""

    weights: Path = Field(
        description="File that holds the VGG-19: a published GS-LRM checkpoint (.pt or "
        ".safetensors), or imagenet-vgg-verydeep-19.mat."
    )
    md5: str = Field(
        default=PUBLISHED_MD5,
        pattern="^[0-9a-fA-F]{32}$",
        description="MD5 that a .mat file must have before it is read; the default is that of the "
        "published one.",
    )

    def digests(self) -> Mapping[str, str]:
        """Return the hash of a .mat file; checkpoints are judged by their base."""
        return {"weights": f"md5:{self.md5}"} if self.weights.suffix == ".mat" else {}


class LPIPSConfig(ComponentConfig):
    """Settings of ``lpips``."""

    trunk: Path = Field(
        description="File with torchvision's VGG-16 or AlexNet, trained on ImageNet (.pth, .pt or "
        ".safetensors)."
    )
    linear: Path = Field(
        description="File with the linear layers of LPIPS 0.1 for it: vgg.pth or alex.pth."
    )
    net: Literal["vgg", "alex"] = Field(default="vgg", description="Which network they belong to.")


class PixelAlignConfig(ComponentConfig):
    """Settings of ``pixelalign``."""

    masked: bool = Field(
        default=True, description="Weigh every pixel by the mask of the input picture."
    )


class PointsDistConfig(ComponentConfig):
    """Settings of ``pointsdist``."""

    spread: float = Field(
        default=0.5,
        gt=0,
        description="Standard deviation of the distances that each view is drawn to, in world "
        "units.",
    )


class MinSnrConfig(ComponentConfig):
    """Settings of ``min_snr``."""

    gamma: float | None = Field(
        default=5.0,
        gt=0,
        description="Where the signal-to-noise ratio is cut; null weighs all timesteps alike.",
    )
    form: Literal["compatible", "textbook"] = Field(
        default="compatible",
        description=(
            "'compatible' is the weight that the published model was trained with, that of noise "
            "prediction on a network that predicts v; 'textbook' is the one for v."
        ),
    )
