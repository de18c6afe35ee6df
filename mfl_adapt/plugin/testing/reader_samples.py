"""The samples that rules about readers look at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mfl_adapt.plugin.testing.rule import Case

if TYPE_CHECKING:
    from mfl_adapt.types import Sample

MOST = 8
"""Samples that are looked at; example data are small."""


def samples_of(case: Case) -> list[Sample]:
    """The first samples, read once."""

    def read() -> list[Sample]:
        reader = case.built()
        return list(islice(reader, MOST))

    found: list[Sample] = case.once("samples", lambda: case.call("reading the data", read))
    return found
