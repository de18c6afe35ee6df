"""Whether pictures that a model made still have the cameras that they were made for."""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, orbit
from mfl_adapt.cameras.identity import (
    SEAL,
    CameraGap,
    hash_cameras,
    measure_gap,
    to_raw_cameras,
    undo_history,
)
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import RawCamera, RigContract, Sample

from .config import GeneratedConfig
from .facts import place, sample_and_contract, usable_cameras


class GeneratedCameras:
    """Law MFL063: views that a model generated have the cameras that generated them.

    A multi-view model makes its pictures for cameras of its own. Stored with those of a real rig
    they teach a reconstructor a geometry that no scene has, though each picture looks right. The
    record of such a sample names the hash of its generating cameras; they are compared with the
    sample's, led back through all recorded steps. Nothing is said of samples without that record.
    """

    def __init__(self, config: GeneratedConfig) -> None:
        """Take the threshold."""
        self._tolerance = config.tolerance

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the record first, then at the cameras."""
        sample, contract = sample_and_contract(facts)
        steps = sample.provenance
        sealed = steps[0].params.get(SEAL) if steps else None
        if sealed is None or not sample.views or not usable_cameras(sample):
            return
        recorded = steps[0].raw_cameras
        if not recorded or hash_cameras(recorded) != sealed:
            yield self._broken_seal(sample, contract, str(sealed))
        elif all(step.exact for step in sample.provenance):
            found = undo_history(sample, recorded)
            gap = measure_gap([one for _, one in found], [recorded[index] for index, _ in found])
            # Written so that NaN is a finding too.
            if not gap.share <= self._tolerance:
                yield self._finding(sample, _describe(gap, sample), gap.share)

    def _broken_seal(self, sample: Sample, contract: RigContract, sealed: str) -> Finding:
        """The record was edited; by how much is known only where the six slots made the views."""
        recorded = sample.provenance[0].raw_cameras
        got = hash_cameras(recorded)[:12] if recorded else "none"
        value, share = f"recorded cameras of hash {got}, views made for {sealed[:12]}", 1.0
        if recorded:
            slots = _slots(contract, recorded[0].width)
            if len(slots) == len(recorded) and hash_cameras(slots) == sealed:
                gap = measure_gap(recorded, slots)
                value, share = f"{value}; {_describe(gap, sample)}", gap.share
        return self._finding(sample, value, share)

    def _finding(self, sample: Sample, value: str, share: float) -> Finding:
        return Finding(
            code="MFL063",
            severity="law",
            where=place(sample),
            value=value,
            expected=f"the cameras that made the views, within {self._tolerance:g}",
            remedy="Put back the opencv_cameras.json and provenance.json of data synth, or make "
            "the views again; never give generated views the cameras of a rig.",
            excess=share / self._tolerance,
        )


def _slots(contract: RigContract, size: int) -> tuple[RawCamera, ...]:
    """The cameras of the six slots at the contract's distance and focal length."""
    same = np.ones(len(FACELIFT_SLOTS_DEG))
    distances, ratios = contract.distance * same, contract.focal_ratio * same
    return to_raw_cameras(orbit(FACELIFT_SLOTS_DEG, 0.0 * same, distances, ratios, size))


def _describe(gap: CameraGap, sample: Sample) -> str:
    """Name the differences, and the view that is worst."""
    name = sample.views[gap.view].name if gap.view < len(sample.views) else str(gap.view)
    return (
        f"cameras up to {gap.angle_deg:.2f} degrees, {gap.position:.3f} units and "
        f"{gap.lens_px:.2f} px of lens from those that made the views, worst in view {name}"
    )
