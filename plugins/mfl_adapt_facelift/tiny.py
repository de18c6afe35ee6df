"""The base ``facelift.tiny``."""

from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM, load_shipped, outline_gslrm

from .config import TinyBaseConfig


def build_tiny(config: TinyBaseConfig) -> FrozenGSLRM:
    """Load the small model that ships with the package.

    Raises:
        CheckpointError: If the installation lacks its files.
    """
    return load_shipped("facelift_tiny", id="facelift.tiny")


def outline(config: TinyBaseConfig) -> FrozenGSLRM:
    """Return the network without weights."""
    return outline_gslrm(TINY, id="facelift.tiny")
