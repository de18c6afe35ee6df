"""Whether the cameras are still those that the recorded history leads to."""

from collections.abc import Iterator

from mfl_adapt.cameras.history import round_trip_px
from mfl_adapt.plugin import Facts, Finding

from .config import HistoryConfig
from .facts import place, sample_and_contract, usable_cameras


class History:
    """Law MFL048: a camera is the one that the recorded steps made of the raw one.

    It is not where somebody edited the camera file, or replaced it by another's, after the
    dataset was prepared. Nothing is said where the history does not begin at raw cameras, or has
    an inexact step, which says so itself.
    """

    def __init__(self, config: HistoryConfig) -> None:
        """Take the threshold."""
        self._law_above_px = config.law_above_px

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Send random points through the steps and through the cameras."""
        sample, _ = sample_and_contract(facts)
        steps = sample.provenance
        recorded = steps and steps[0].raw_cameras and all(step.exact for step in steps)
        if not recorded or not sample.views or not usable_cameras(sample):
            return
        for view, error in zip(sample.views, round_trip_px(sample), strict=True):
            if not error <= self._law_above_px:
                yield Finding(
                    code="MFL048",
                    severity="law",
                    where=place(sample, view),
                    value=f"camera and recorded steps are up to {error:.3g} px apart",
                    expected=f"at most {self._law_above_px:g} px",
                    remedy="Prepare the dataset again from its recording. If the cameras were "
                    "replaced on purpose, delete the sample's provenance.json.",
                    excess=float(error / self._law_above_px),
                )
