"""Settings of ``lora``, in peft's words."""

from typing import Literal

from pydantic import Field

from mfl_adapt.plugin.lora import LoraSettings


class LoraConfig(LoraSettings):
    """Rank, strength and place of the low-rank updates."""

    targets: Literal["all-linear", "attention", "mlp"] | tuple[str, ...] = Field(
        default="all-linear",
        description=(
            "'all-linear', 'attention' or 'mlp' of every transformer layer, or patterns of layer "
            "names such as 'attn.to_qkv' or 'transformer_layers.0.*'."
        ),
    )
