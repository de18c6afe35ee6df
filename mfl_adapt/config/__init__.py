"""The run configuration: presets, files, environment and command line as one checked whole."""

from mfl_adapt.config.claims import claim_slots
from mfl_adapt.config.components import step_slot, validate_components
from mfl_adapt.config.dumping import describe_origins, dump_config, to_plain
from mfl_adapt.config.idle import IDLE_KEYS, LOCATIONS, is_below
from mfl_adapt.config.layers import Keys, Layer, Origin
from mfl_adapt.config.loading import LoadedConfig, load_config, load_recorded
from mfl_adapt.config.models import LossSchedule, LossTerm, RunConfig
from mfl_adapt.config.places import find_missing_data
from mfl_adapt.config.presets import Preset, list_presets, presets_folder
from mfl_adapt.config.recorded import is_shortened, shorten_paths

__all__ = [
    "IDLE_KEYS",
    "LOCATIONS",
    "Keys",
    "Layer",
    "LoadedConfig",
    "LossSchedule",
    "LossTerm",
    "Origin",
    "Preset",
    "RunConfig",
    "claim_slots",
    "describe_origins",
    "dump_config",
    "find_missing_data",
    "is_below",
    "is_shortened",
    "list_presets",
    "load_config",
    "load_recorded",
    "presets_folder",
    "shorten_paths",
    "step_slot",
    "to_plain",
    "validate_components",
]
