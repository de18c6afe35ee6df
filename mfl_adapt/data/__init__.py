"""Datasets: conform, split, hold in memory, collate, fingerprint and write.

``collate`` needs torch and is therefore imported from its own module,
``mfl_adapt.data.collate``.
"""

from mfl_adapt.data.conform import conform
from mfl_adapt.data.dataset import PreparedDataset
from mfl_adapt.data.fingerprint import fingerprint
from mfl_adapt.data.packed import open_packed
from mfl_adapt.data.sampler import Draw, StepSampler
from mfl_adapt.data.slots import SlotViews
from mfl_adapt.data.splits import Split, SplitBy, listed_split, split_samples
from mfl_adapt.data.writer import write_dataset, write_sample

__all__ = [
    "Draw",
    "PreparedDataset",
    "SlotViews",
    "Split",
    "SplitBy",
    "StepSampler",
    "conform",
    "fingerprint",
    "listed_split",
    "open_packed",
    "split_samples",
    "write_dataset",
    "write_sample",
]
