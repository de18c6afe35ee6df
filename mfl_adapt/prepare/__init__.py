"""Makes dataset folders at scale: workers, continuation after a crash, splits.

Workers import neither torch nor numba.
"""

from mfl_adapt.prepare.certificate import (
    Graded,
    grade_chain,
    grade_file,
    is_metrics,
    raise_for_laws,
)
from mfl_adapt.prepare.executors import build_executor
from mfl_adapt.prepare.inspect import Inspection, inspect_chain
from mfl_adapt.prepare.inverse import find_sample, unmap_json, unmap_ply
from mfl_adapt.prepare.run import Executor, Result, make_dataset
from mfl_adapt.prepare.split import Resplit, split_dataset

__all__ = [
    "Executor",
    "Graded",
    "Inspection",
    "Resplit",
    "Result",
    "build_executor",
    "find_sample",
    "grade_chain",
    "grade_file",
    "inspect_chain",
    "is_metrics",
    "make_dataset",
    "raise_for_laws",
    "split_dataset",
    "unmap_json",
    "unmap_ply",
]
