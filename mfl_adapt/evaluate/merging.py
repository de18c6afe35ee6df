"""Merge adapters, measure what became of each, and write both down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfl_adapt.adapter import StoredAdapter
from mfl_adapt.adapter.compose_files import add_metrics, merge_folders
from mfl_adapt.adapter.compose_merge import Merged, Recipe
from mfl_adapt.evaluate.sources import Report, SourceScores, evaluate_sources
from mfl_adapt.plugin import Base


def merge_and_measure(
    base: Base,
    stored: Sequence[StoredAdapter],
    out: Path,
    recipe: Recipe,
    *,
    evaluate: bool = True,
    limit: int | None = None,
    report: Report | None = None,
) -> tuple[Merged, list[SourceScores]]:
    """Merge adapters and score the result on the data of each source.

    The merged adapter is saved before anything is measured, so that nothing that happens then can
    lose it, and again with the scores.

    Args:
        base: The base of all, without an adapter.
        stored: At least two adapters.
        out: Folder to make.
        recipe: How to merge.
        evaluate: Whether to measure.
        limit: Use only so many scenes of each source.
        report: Gets told how far the measurement is.

    Returns:
        What was made, and one record of scores per source; none if nothing was to be measured.

    Raises:
        AdapterError: If the adapters cannot be merged, or the result has no effect.
        RangeError: If a setting does not fit.
        StorageError: If the folder is taken or cannot be written.
    """
    merged = merge_folders(base, stored, out, recipe)
    if not evaluate:
        return merged, []
    found = evaluate_sources(base, out, stored, limit=limit, report=report)
    add_metrics(base, out, {"sources": [one.to_json() for one in found]})
    return merged, found
