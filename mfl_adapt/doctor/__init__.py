"""The doctor: runs checks, sums up what they find, and stops a run that cannot work."""

from mfl_adapt.doctor.examine import (
    ActiveCheck,
    build_checks,
    examine,
    examine_samples,
    examine_source,
)
from mfl_adapt.doctor.findings import Report, Summary, join, page_of, to_json, to_lines

__all__ = [
    "ActiveCheck",
    "Report",
    "Summary",
    "build_checks",
    "examine",
    "examine_samples",
    "examine_source",
    "join",
    "page_of",
    "to_json",
    "to_lines",
]
