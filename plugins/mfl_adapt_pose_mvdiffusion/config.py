"""Settings of ``pose``."""

from typing import Literal

from pydantic import Field

from mfl_adapt.plugin.methods import MethodSettings


class PoseConfig(MethodSettings):
    """How cameras are described, and which layers follow."""

    kind: Literal["angles", "pluecker", "both"] = Field(
        default="angles",
        description=(
            "'angles' adds azimuth, elevation, distance and focal length to the embedding that "
            "every block sees; 'pluecker' adds a map of rays to the latents after the first "
            "layer, which also describes cameras that look past the subject; or 'both'."
        ),
    )
    hidden: int = Field(default=128, ge=1, description="Width of the pose module's own layers.")
    prompts: Literal["nearest", "neutral"] = Field(
        default="nearest",
        description=(
            "Prompt rows it is trained with: 'nearest' gives each view the row of the slot "
            "nearest to it, 'neutral' the mean of all rows."
        ),
    )
    targets: str | tuple[str, ...] = Field(
        default="attention",
        description=(
            "Layers with LoRA: 'multiview' (attn1), 'cross' (attn2), 'attention' (both), 'time' "
            "(where each block takes in the embedding), patterns of layer names such as "
            "'attn2.to_k' or 'mid_block.*', or a list of any of these; 'none' trains the pose "
            "module alone."
        ),
    )
