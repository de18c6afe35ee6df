"""How large the subject was found to be, in the units of the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from mfl_adapt.cameras.history import world_change

if TYPE_CHECKING:
    from mfl_adapt.types import Provenance


def raw_extent(history: Sequence[Provenance]) -> float | None:
    """Return the subject's diameter in raw world units, as the last step that measured it says.

    A step says so by ``extent`` among what it ``measured``, in units of the world that it left,
    unless its settings gave that number.
    """
    for number, step in reversed(list(enumerate(history, start=1))):
        measured, settings = (step.params.get(key) for key in ("measured", "settings"))
        extent = measured.get("extent") if isinstance(measured, Mapping) else None
        if isinstance(extent, int | float):
            given = settings.get("extent") if isinstance(settings, Mapping) else None
            fixed = isinstance(given, int | float)
            return None if fixed else extent / world_change(history[:number]).scale
    return None


def extent_line(extents: Sequence[float]) -> str:
    """Say in one line how large the subject was, and what to do about its changing."""
    middle, least, most = median(extents), min(extents), max(extents)
    return (
        f"{middle:.4g} in the recording's units (median; {least:.4g} to {most:.4g}); "
        f"data.cameras.extent={middle:.4g} would scale every sample alike, as video needs"
    )
