"""Settings of the losses; weights stand in the run configuration."""

from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


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
