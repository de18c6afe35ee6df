"""Settings of the masked losses; weights stand in the run configuration."""

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class MaskedL2Config(ComponentConfig):
    """``masked_l2`` has nothing to set."""


class MaskedSSIMConfig(ComponentConfig):
    """``masked_ssim`` has nothing to set: its window is the one everybody reports."""


class SilhouetteConfig(ComponentConfig):
    """``silhouette`` has nothing to set."""


class BackgroundConfig(ComponentConfig):
    """Settings of ``background``."""

    threshold: float = Field(
        default=0.5, gt=0, le=1, description="A pixel is background where its mask is below this."
    )
