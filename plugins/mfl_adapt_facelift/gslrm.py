"""The base ``facelift.gslrm``."""

from mfl_adapt.models.gslrm.config import PUBLISHED, GSLRMConfig, read_config
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM, load_gslrm

from .config import GSLRMBaseConfig


def build_gslrm(config: GSLRMBaseConfig) -> FrozenGSLRM:
    """Load a FaceLift checkpoint.

    Raises:
        ConfigError: If the configuration file cannot be read or describes no such network.
        CheckpointError: If the checkpoint cannot be read or does not fit the configuration.
    """
    return load_gslrm(
        config.checkpoint,
        _architecture(config),
        id="facelift.gslrm",
        expected_sha256=config.sha256,
    )


def _architecture(config: GSLRMBaseConfig) -> GSLRMConfig:
    """The published network unless another one is named."""
    if config.config is None:
        return PUBLISHED
    if isinstance(config.config, dict):
        return GSLRMConfig.from_facelift(config.config, where="base.config")
    return read_config(config.config)
