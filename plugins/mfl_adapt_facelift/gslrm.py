"""The base ``facelift.gslrm``."""

from pathlib import Path

from mfl_adapt.models.fetched import locate
from mfl_adapt.models.gslrm.config import PUBLISHED, GSLRMConfig, read_config
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM, load_gslrm, outline_gslrm

from .config import GSLRMBaseConfig

ID = "facelift.gslrm"


def build_gslrm(config: GSLRMBaseConfig) -> FrozenGSLRM:
    """Load a FaceLift checkpoint.

    Raises:
        ConfigError: If the configuration file cannot be read or describes no such network.
        CheckpointError: If the checkpoint was neither named nor fetched, cannot be read or does
            not fit the configuration.
    """
    checkpoint, sha256 = _checkpoint(config)
    return load_gslrm(checkpoint, _architecture(config), id=ID, expected_sha256=sha256)


def outline(config: GSLRMBaseConfig) -> FrozenGSLRM:
    """Return the network without weights; no checkpoint need be there.

    Raises:
        ConfigError: If the configuration file cannot be read or describes no such network.
    """
    return outline_gslrm(_architecture(config), id=ID)


def _checkpoint(config: GSLRMBaseConfig) -> tuple[Path, str | None]:
    """The checkpoint, and which hash it must have; a fetched one has that of its record."""
    if config.checkpoint is not None:
        return config.checkpoint, config.sha256
    path, fetched = locate(ID)
    return path, config.sha256 or fetched.files[fetched.entry].sha256


def _architecture(config: GSLRMBaseConfig) -> GSLRMConfig:
    """The published network unless another one is named."""
    if config.config is None:
        return PUBLISHED
    if isinstance(config.config, dict):
        return GSLRMConfig.from_facelift(config.config, where="base.config")
    return read_config(config.config)
