"""The base ``facelift.tiny_views``."""

from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.shipped import load_shipped_views

from .config import TinyViewsBaseConfig


def build_tiny_views(config: TinyViewsBaseConfig) -> FrozenMVDiffusion:
    """Load the small multi-view diffusion model that ships with the package.

    Raises:
        CheckpointError: If the installation lacks its files, or the prompts cannot be read.
        ShapeError: If the prompts do not fit the model.
        RangeError: If a number in the prompts is not finite.
    """
    return load_shipped_views(prompts=config.prompts)
