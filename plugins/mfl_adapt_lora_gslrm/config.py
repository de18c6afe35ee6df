"""Settings of ``lora``, in peft's words."""

from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class LoraConfig(ComponentConfig):
    """Rank, strength and place of the low-rank updates."""

    r: int = Field(default=16, ge=1, description="Rank of each update.")
    lora_alpha: int = Field(
        default=16, ge=1, description="The update is multiplied by lora_alpha / r."
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a layer's input dropped while training."
    )
    use_rslora: bool = Field(default=False, description="Multiply by lora_alpha / sqrt(r) instead.")
    targets: Literal["all-linear", "attention", "mlp"] | tuple[str, ...] = Field(
        default="all-linear",
        description=(
            "'all-linear', 'attention' or 'mlp' of every transformer layer, or patterns of layer "
            "names such as 'attn.to_qkv' or 'transformer_layers.0.*'."
        ),
    )
