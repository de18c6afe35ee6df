"""Whether the pictures, masks and cameras that a stage returns belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.plugin.testing.oracle import Match, compare
from mfl_adapt.plugin.testing.outcome import not_applicable, require
from mfl_adapt.plugin.testing.probes import Probe
from mfl_adapt.plugin.testing.rule import Case
from mfl_adapt.plugin.testing.stage_probing import worked

if TYPE_CHECKING:
    from mfl_adapt.types import Sample

# A resampled outline is uncertain by a fraction of a pixel; a crop that forgot its principal
# point, or a mirrored picture, is off by several.
_MOST_SHIFT_PX = 0.35
_LEAST_IOU = 0.9
# Of masks that a stage made anew, over pixels that did not move.
_LEAST_IOU_MADE = 0.6
_LEAST_LIKENESS = 0.6
_ROUND_TRIP_PX = 1e-3


def check_masks(case: Case) -> None:
    """Masks that were there stay, and keep the subject."""
    for probe, sample in worked(case):
        for view, match in zip(sample.views, _matches(case, probe, sample), strict=True):
            where = f"{case.name}, view {view.name}: mask"
            require(
                view.mask is not None,
                where,
                expected="the mask that the view had",
                got="None",
                remedy="Hand it on; a later step needs it.",
            )
            if _is_exact(sample):
                require(
                    not match.iou_over > match.iou,
                    where,
                    expected="255 on the subject",
                    got=f"an overlap of {match.iou:.2f}, and of {match.iou_over:.2f} turned over",
                    remedy="Turn it over: 255 is inside, 0 outside.",
                )


def check_geometry(case: Case) -> str:
    """Every picture is what its camera sees: both were moved by the same map."""
    shifts, likenesses = [0.0], [1.0]
    exact = [(probe, sample) for probe, sample in worked(case) if _is_exact(sample)]
    if not exact:
        not_applicable("says of itself that it is not exact")
    for probe, sample in exact:
        moved = _has_moved(probe.sample, sample)
        for view, match in zip(sample.views, _matches(case, probe, sample), strict=True):
            where = f"{case.name}, view {view.name} of {sample.id}"
            likenesses.append(match.likeness)
            require(
                not match.likeness < _LEAST_LIKENESS,
                f"{where}: picture",
                expected="what its camera sees",
                got=f"colours that correlate by {match.likeness:.2f}",
                remedy="Move picture, mask and camera by mfl_adapt.images.warp_sample alone.",
            )
            if np.isnan(match.iou) or match.iou_over > match.iou:
                continue
            shifts.append(match.shift_px if moved else 0.0)
            least = _LEAST_IOU if moved else _LEAST_IOU_MADE
            require(
                match.iou >= least and not (moved and match.shift_px > _MOST_SHIFT_PX),
                f"{where}: mask",
                expected="the subject where its camera sees it",
                got=f"an overlap of {match.iou:.3f}, {match.shift_px:.2f} px aside at 128 px",
                remedy="Move picture, mask and camera by mfl_adapt.images.warp_sample alone.",
            )
    return f"subject at most {max(shifts):.2f} px aside at 128 px"


def _matches(case: Case, probe: Probe, sample: Sample) -> list[Match]:
    found: list[Match] = case.once(f"match {sample.id}", lambda: compare(probe, sample))
    return found


def _is_exact(sample: Sample) -> bool:
    return all(step.exact for step in sample.provenance)


def _has_moved(before: Sample, after: Sample) -> bool:
    """Whether any picture or camera changed its place; other stages only make masks or colours."""
    old = {view.name: view for view in before.views}
    pairs = [(old.get(view.name), view) for view in after.views]
    return not all(
        a is not None
        and a.rgb.shape == b.rgb.shape
        and np.array_equal(a.c2w, b.c2w)
        and np.array_equal(a.fxfycxcy, b.fxfycxcy)
        for a, b in pairs
    )


def check_round_trip(case: Case) -> str:
    """The recorded maps lead from the raw cameras to those of the result."""
    from mfl_adapt.cameras.history import round_trip_px

    worst = 0.0
    for _, sample in worked(case):
        if not _is_exact(sample):
            not_applicable("says of itself that it is not exact")
        worst = max(worst, float(round_trip_px(sample).max()))
        require(
            worst < _ROUND_TRIP_PX,
            f"{case.name}: provenance",
            expected="recorded maps that lead from the raw cameras to the sample's",
            got=f"{worst:.3g} px between the two",
            remedy="Record in pixel_maps, world and order all that was done.",
        )
    return f"{worst:.1e} px"
