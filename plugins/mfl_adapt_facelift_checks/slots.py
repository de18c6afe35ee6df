"""View slots: which camera stands for which fixed view, and the order of the views.

Only a base whose contract has slots cares about them; a reconstructor takes views in any order.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras.slots import assign_slots
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample

from .config import NoConfig, SameSlotsConfig, SlotAngleConfig
from .facts import place, sample_and_contract, usable_cameras

if TYPE_CHECKING:
    from mfl_adapt.types import Float


class SlotAngles:
    """Warning MFL009: cameras stand near the view slots that they are to fill.

    FaceLift's six slots are at 0, 45, 90, 180, 270 and 315 degrees from the front: not a ring in
    steps of 60.
    """

    def __init__(self, config: SlotAngleConfig) -> None:
        """Take the threshold."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        if not contract.slots_deg or not _placed(sample):
            return
        found = assign_slots(_centers(sample), contract.slots_deg)
        worst = int(np.argmax(found.angles_deg))
        if found.angles_deg[worst] > self._config.warn_above_deg:
            azimuth = contract.slots_deg[found.slots[worst]]
            yield Finding(
                code="MFL009",
                severity="warning",
                where=place(sample, sample.views[found.order[worst]]),
                value=f"{found.angles_deg[worst]:.1f} degrees from its slot at azimuth "
                f"{azimuth:g}, elevation 0",
                expected=f"at most {self._config.warn_above_deg:g} degrees; slots at "
                + ", ".join(f"{slot:g}" for slot in contract.slots_deg),
                remedy="Turn the world with facelift_cameras.slots, and add cameras where slots "
                "stay far from all.",
                excess=found.angles_deg[worst],
            )


class FileOrder:
    """MFL010: views are in the order of the slots, or go around the subject where there are none.

    A warning where the contract has slots; otherwise information, since the order of the files is
    then only something that nobody should read a meaning into.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: an order is right or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        if len(sample.views) < 3 or not _placed(sample):
            return
        azimuths = _azimuths_deg(sample)
        names = ", ".join(f"{azimuth:.0f}" for azimuth in azimuths)
        if contract.slots_deg:
            order = list(assign_slots(_centers(sample), contract.slots_deg).order)
            if order != sorted(order):
                yield Finding(
                    code="MFL010",
                    severity="warning",
                    where=place(sample),
                    value=f"azimuths {names} degrees in the order of the files",
                    expected="views in the order of the slots, "
                    + ", ".join(f"{slot:g}" for slot in contract.slots_deg),
                    remedy=f"Use facelift_cameras.slots; the order is {order}.",
                    excess=1.0,
                )
        elif not _goes_around(azimuths):
            yield Finding(
                code="MFL010",
                severity="info",
                where=place(sample),
                value=f"azimuths {names} degrees in the order of the files",
                expected="nothing: this base takes views in any order",
                remedy="Never take a file's number for a direction; facelift_cameras.slots sorts.",
                excess=0.0,
            )


class PermutedSlots:
    """Law MFL011: the cameras are the slots' own, in another order.

    That is FaceLift's inference camera file read without its permutation.
    """

    def __init__(self, config: SameSlotsConfig) -> None:
        """Take the tolerance."""
        self._tolerance = config.within_deg

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        if len(sample.views) != len(contract.slots_deg) or not _placed(sample):
            return
        found = assign_slots(_centers(sample), contract.slots_deg)
        order = list(found.order)
        if max(found.angles_deg, default=180.0) <= self._tolerance and order != sorted(order):
            first = float(_azimuths_deg(sample)[0])
            yield Finding(
                code="MFL011",
                severity="law",
                where=place(sample),
                value=f"view 0 at azimuth {first:.0f} degrees",
                expected=f"slot 0 at azimuth {contract.slots_deg[0]:g} degrees",
                remedy=f"Take the views in the order {order}.",
                excess=1.0,
            )


def _placed(sample: Sample) -> bool:
    return (
        bool(sample.views)
        and usable_cameras(sample)
        and bool(np.linalg.norm(_centers(sample), axis=1).all())
    )


def _centers(sample: Sample) -> "Float":
    return np.stack([view.c2w[:3, 3] for view in sample.views])


def _azimuths_deg(sample: Sample) -> "Float":
    centers = _centers(sample)
    return np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360.0


def _goes_around(azimuths: "Float") -> bool:
    """Whether the azimuths make one turn, in either sense."""
    steps = np.diff(np.append(azimuths, azimuths[0])) % 360.0
    turns = steps.sum() / 360.0
    return bool(np.isclose(turns, 1.0) or np.isclose(turns, len(azimuths) - 1.0))
