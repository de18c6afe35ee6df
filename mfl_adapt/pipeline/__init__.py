"""The chain of a run, from a configuration to everything that training and evaluation need.

    reader -> preprocessors -> camera normalizer -> conform -> split -> frozen base + adapter

Nothing here trains or draws. What can fail cheaply fails first: settings are validated before any
weights are read, and pictures are read before the base is built.
"""

from mfl_adapt.pipeline.adapted import open_base_of
from mfl_adapt.pipeline.bases import (
    DEFAULT_BASE,
    contract_of,
    data_contract,
    load_base,
    makes,
    open_base,
    open_for_training,
    open_reconstructor,
    open_view_maker,
)
from mfl_adapt.pipeline.data import OpenData, check_batches, open_data, open_samples
from mfl_adapt.pipeline.run import OpenRun, open_run

__all__ = [
    "DEFAULT_BASE",
    "OpenData",
    "OpenRun",
    "check_batches",
    "contract_of",
    "data_contract",
    "load_base",
    "makes",
    "open_base",
    "open_base_of",
    "open_data",
    "open_for_training",
    "open_reconstructor",
    "open_run",
    "open_samples",
    "open_view_maker",
]
