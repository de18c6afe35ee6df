"""The component ``pose_mvdiffusion.pose``: a pose module, and LoRA on what has to follow it."""

from __future__ import annotations

from typing import Any

import peft
from torch import Tensor, nn

from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Pace
from mfl_adapt.plugin.peft_settings import build_peft_config
from mfl_adapt.plugin.targets import match_layers
from mfl_adapt.types import Cameras

from .angles import AngleEmbedding
from .config import PoseConfig
from .rays import RayEmbedding

NAME = "pose_mvdiffusion.pose"

_PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
MULTIVIEW = tuple(f"attn1.{name}" for name in _PROJECTIONS)
CROSS = tuple(f"attn2.{name}" for name in _PROJECTIONS)
GROUPS = {
    "multiview": MULTIVIEW,
    "cross": CROSS,
    "attention": MULTIVIEW + CROSS,
    "time": ("time_emb_proj",),
}
"""Names that stand for several patterns; they may be mixed with patterns."""


class Pose:
    """Says how the multi-view diffusion model should be extended."""

    def __init__(self, config: PoseConfig) -> None:
        self.config = config

    def peft_config(self, module: nn.Module) -> peft.PeftConfig | None:
        """Return peft's settings with every target layer by its full name, or None without LoRA.

        Args:
            module: Network of the base, not yet adapted.

        Raises:
            AdapterError: If a pattern matches no layer, or the method cannot change one.
        """
        _check_denoiser(module)
        wanted = self.config.targets
        if wanted == "none":
            return None
        words = (wanted,) if isinstance(wanted, str) else wanted
        patterns = [pattern for word in words for pattern in GROUPS.get(word, (word,))]
        kinds = (nn.Linear, nn.Conv2d)
        names = [name for name, layer in module.named_modules() if isinstance(layer, kinds)]
        layers = match_layers(names, patterns, where=NAME, hints={*GROUPS, "none"})
        return build_peft_config(self.config, module, layers, where=NAME)

    def pace(self, name: str) -> Pace:
        """Return how a weight of the adapter learns, by its full name."""
        return self.config.pace(name)

    def extra(self, module: nn.Module) -> PoseModule:
        """Return a fresh pose module, which adds nothing yet.

        Args:
            module: Network of the base, not yet adapted.

        Raises:
            AdapterError: If the base is no multi-view diffusion model.
        """
        _check_denoiser(module)
        return PoseModule(
            self.config,
            channels=module.get_parameter("conv_in.weight").shape[0],
            width=module.get_parameter("class_embedding.linear_2.weight").shape[0],
        )


class PoseModule(nn.Module):
    """Turns cameras into terms on latents and embedding; both are zero until it is trained.

    Attributes:
        recipe: How to build it again.
        prompts: Which prompt rows it is trained with.
        strength: Factor on both terms.
    """

    def __init__(self, config: PoseConfig, *, channels: int, width: int) -> None:
        """Build it with fresh weights.

        Args:
            config: What it looks at.
            channels: Of the denoiser's first layer.
            width: Of the picture's embedding.
        """
        super().__init__()
        self.recipe: dict[str, Any] = {"use": NAME, **config.model_dump(mode="json")}
        self.prompts = config.prompts
        self.strength = 1.0
        angles, rays = config.kind in {"angles", "both"}, config.kind in {"pluecker", "both"}
        self.angles = AngleEmbedding(width, hidden=config.hidden) if angles else None
        self.rays = RayEmbedding(channels, hidden=config.hidden) if rays else None

    def forward(
        self, cameras: Cameras, *, height: int, width: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the terms for cameras [B, V] and latents of this size.

        Returns:
            On the latents, [B * V, C, height, width], and on the embedding, [B * V, E]; None for
            one that this kind does not have.

        Raises:
            DataError: If view 0 has no azimuth, or angles do not describe a camera.
        """
        latents = embedding = None
        if self.rays is not None:
            latents = self.strength * self.rays(cameras, height=height, width=width)
        if self.angles is not None:
            embedding = self.strength * self.angles(cameras)
        return latents, embedding

    def install(self, module: nn.Module) -> None:
        """Take the place that the denoiser has for it."""
        module.register_module("pose", self)

    def uninstall(self, module: nn.Module) -> None:
        """Leave that place empty."""
        module.register_module("pose", None)


def _check_denoiser(module: nn.Module) -> None:
    """Raise unless a network has a place for a pose module.

    Raises:
        AdapterError: If it has none.
    """
    if not hasattr(module, "pose"):
        raise AdapterError(
            f"{NAME}: expected a base that makes views and can be told where they stand, got "
            f"{type(module).__name__}. Use it on facelift.mvdiffusion or facelift.tiny_views."
        )
