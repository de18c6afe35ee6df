"""The run configuration: presets, files, environment and command line as one checked whole."""

from mfl_adapt.config.claims import claim_slots
from mfl_adapt.config.components import step_slot, validate_components
from mfl_adapt.config.dumping import describe_origins, dump_config, to_plain
from mfl_adapt.config.layers import Keys, Layer, Origin
from mfl_adapt.config.loading import LoadedConfig, load_config
from mfl_adapt.config.models import RunConfig
from mfl_adapt.config.presets import Preset, list_presets, presets_folder

__all__ = [
    "Keys",
    "Layer",
    "LoadedConfig",
    "Origin",
    "Preset",
    "RunConfig",
    "claim_slots",
    "describe_origins",
    "dump_config",
    "list_presets",
    "load_config",
    "presets_folder",
    "step_slot",
    "to_plain",
    "validate_components",
]
