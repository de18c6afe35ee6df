"""Settings of ``lora``: the method, in peft's words, and the layers."""

from typing import Any

from pydantic import Field, field_validator

from mfl_adapt.plugin.methods import MethodSettings


class LoraConfig(MethodSettings):
    """How layers are changed, and which."""

    targets: str | tuple[str, ...] = Field(
        default="attention",
        description=(
            "'multiview' (attn1), 'cross' (attn2), 'attention' (both), 'conditioning' (conv_in "
            "and the embedding of the picture), patterns of layer names such as 'attn2.to_k' or "
            "'mid_block.*', or a list of any of these."
        ),
    )
    reference_view_idx: int = Field(
        default=0, description="View that the others are made from; always 0."
    )

    @field_validator("reference_view_idx", mode="before")
    @classmethod
    def _reference_is_the_first_view(cls, value: Any) -> Any:
        # A bool is an int for Python, and no view for anybody.
        if isinstance(value, bool) or value != 0:
            raise ValueError(
                f"expected 0, got {value!r}: the reference is also a target, so that a model "
                "whose reference may be any view learns to copy its input into all of them. "
                "Bring another view to the first slot with facelift_cameras.slots (front) instead"
            )
        return value
