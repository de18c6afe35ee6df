"""Which cameras, sessions and animals a run was trained on, and which ones it is scored on.

Written down with the scores, so that runs that each did without one group can be gathered later
without opening their data again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from mfl_adapt.data import SlotViews
from mfl_adapt.pipeline import OpenData
from mfl_adapt.types import Sample

Kind = Literal["camera", "session", "animal"]
KINDS: tuple[Kind, ...] = ("camera", "session", "animal")

Groups = Mapping[str, Mapping[str, Sequence[str]]]
"""By kind, names under ``trained`` and ``scored``; a kind that some scene has no name of is left
out."""


def find_groups(samples: Sequence[Sample], data: OpenData) -> dict[str, dict[str, list[str]]]:
    """Name what was trained on and what is scored on.

    Args:
        samples: Scenes that are scored.
        data: Samples, split and view policy.
    """
    found: dict[str, dict[str, list[str]]] = {}
    trained = data.samples.pick(data.split.train)
    for kind in ("session", "animal"):
        names = [{getattr(one, kind) for one in side} for side in (trained, samples)]
        if all(all(side) for side in names):
            found[kind] = {"trained": sorted(names[0]), "scored": sorted(names[1])}
    scored = {
        sample.views[view].name
        for sample in samples
        for view in data.policy.evaluate(sample.cameras).targets
    }
    found["camera"] = {"trained": sorted(trained_cameras(data)), "scored": sorted(scored)}
    return found


def trained_cameras(data: OpenData) -> set[str]:
    """Names of the cameras whose pictures training may compare with or look at."""
    names: set[str] = set()
    for sample in data.samples.pick(data.split.train):
        hidden = () if is_of_views(data) else data.policy.evaluate(sample.cameras).targets
        names |= {view.name for index, view in enumerate(sample.views) if index not in hidden}
    return names


def is_of_views(data: OpenData) -> bool:
    """Whether training compares with every view, as that of a model of views does."""
    return isinstance(data.policy, SlotViews)
