"""Adapters on frozen bases: attach, train, save with a passport, load where they belong."""

from mfl_adapt.adapter.attach import attach
from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.effect import check_merge, measure_effect
from mfl_adapt.adapter.frozen import (
    adapter_parameters,
    base_digest,
    base_tensors,
    check_frozen,
    freeze_base,
)
from mfl_adapt.adapter.load import StoredAdapter, load, read_adapter
from mfl_adapt.adapter.save import save

__all__ = [
    "AttachedAdapter",
    "StoredAdapter",
    "adapter_parameters",
    "attach",
    "base_digest",
    "base_tensors",
    "check_frozen",
    "check_merge",
    "digest_tensors",
    "freeze_base",
    "load",
    "measure_effect",
    "read_adapter",
    "save",
]
