"""Settings of ``lora``: the method, in peft's words, and the layers."""

from typing import Literal

from pydantic import Field

from mfl_adapt.plugin.methods import MethodSettings


class LoraConfig(MethodSettings):
    """How layers are changed, and which."""

    targets: Literal["all-linear", "attention", "mlp"] | tuple[str, ...] = Field(
        default="all-linear",
        description=(
            "'all-linear', 'attention' or 'mlp' of every transformer layer, or patterns of layer "
            "names such as 'attn.to_qkv' or 'transformer_layers.0.*'."
        ),
    )
