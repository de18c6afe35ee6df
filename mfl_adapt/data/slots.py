"""The views of a model that turns one picture into fixed views: which are inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras.slots import assign_slots
from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

if TYPE_CHECKING:
    from mfl_adapt.types import Float

REFERENCE = 0
"""The input is always the first view. A model whose reference may be any view learns to copy it,
as the reference is a target too."""


class SlotViews:
    """A view policy: the first view is the input, all views in slot order are targets.

    How far a camera is from its slot is left to the checks; here only the order counts, since
    each slot has its own prompt.
    """

    def __init__(self, slots_deg: Sequence[float]) -> None:
        """Set the slots.

        Args:
            slots_deg: World azimuths of the slots; empty where prompts or cameras decide what a
                view shows, which then takes the views as they are.
        """
        self._slots_deg = tuple(slots_deg)

    def train(self, cameras: Cameras, *, seed: int = 0) -> ViewSplit:
        """Return the same views for any seed.

        Raises:
            DataError: If the views are not those of the slots, in their order.
        """
        self._check(cameras)
        return ViewSplit((REFERENCE,), tuple(range(len(cameras))))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return the reference, and all others to compare with.

        Raises:
            DataError: If the views are not those of the slots, in their order.
        """
        self._check(cameras)
        return ViewSplit((REFERENCE,), tuple(range(1, len(cameras))))

    def _check(self, cameras: Cameras) -> None:
        """Raise unless every view is the one that its slot would choose.

        Raises:
            DataError: If there are more or fewer views, or another order is nearer.
        """
        slots = self._slots_deg
        if not slots:
            return
        centers = np.asarray(cameras.c2w, np.float64)[..., :3, 3]
        if len(centers) == len(slots):
            order = assign_slots(centers, slots).order
            if order == tuple(range(len(slots))):
                return
        raise DataError(
            f"expected one view per slot of the model, at the azimuths {_listed(slots)} degrees in "
            f"this order, got {_listed(_azimuths_deg(centers))}. Put facelift_cameras.slots into "
            "data.cameras, which chooses, sorts and turns the views."
        )


def _azimuths_deg(centers: Float) -> list[float]:
    """World azimuths of camera centres [V, 3], in [0, 360)."""
    return [float(one) for one in np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360.0]


def _listed(azimuths_deg: Sequence[float]) -> str:
    return ", ".join(f"{azimuth:.0f}" for azimuth in azimuths_deg)
