"""The views in the order of a multi-view model's slots, the world turned to them."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import history
from mfl_adapt.cameras.slots import SlotAssignment, assign_slots, best_turn, turn_to_front
from mfl_adapt.errors import DataError
from mfl_adapt.images import warp_sample
from mfl_adapt.types import Sample

from .config import SlotsConfig
from .rotations import rotation_about_z, similarity_about
from .subject import find_subject

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_log = logging.getLogger(__name__)


class Slots:
    """The component ``facelift_cameras.slots``.

    Each slot gets the view nearest to it, such that the sum of all angles is least; views that no
    slot wants are left out. Neither pictures nor the angles between cameras change: a rig that
    differs from the slots still differs, and the angles in the history say by how much.
    """

    def __init__(self, config: SlotsConfig) -> None:
        """Take the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the views in the order of the slots, in a turned world.

        Raises:
            DataError: If there are fewer views than slots, the front is no view, or a camera
                cannot see the subject.
        """
        config = self._config
        count, wanted = len(sample.views), len(config.slots_deg)
        if count < wanted and not config.allow_partial:
            raise DataError(
                f"sample {sample.id}: expected a view for each of {wanted} slots, got {count}. Add "
                f"cameras, or set allow_partial: true to leave slots empty."
            )
        subject = find_subject(sample, config.about)
        centers = np.stack([view.c2w[:3, 3] for view in sample.views]) - subject.point
        found = self._assign(sample, centers)
        names = [sample.views[index].name for index in found.order]
        _log.info(
            "sample %s: slots %s are views %s, off by %s degrees",
            sample.id,
            list(found.slots),
            names,
            [round(angle, 1) for angle in found.angles_deg],
        )
        measured = {
            "subject_raw": history.to_raw_world(subject.point, sample.provenance).tolist(),
            "turn_deg": found.turn_deg,
            "slots": list(found.slots),
            "permutation": list(found.order),
            "views": names,
            "angles_deg": list(found.angles_deg),
        }
        return warp_sample(
            sample,
            step="facelift_cameras.slots",
            params={"settings": config.model_dump(mode="json"), "measured": measured},
            world=similarity_about(subject.point, rotation=rotation_about_z(found.turn_deg)),
            order=found.order,
        )

    def _assign(self, sample: Sample, centers: "Float") -> SlotAssignment:
        """Turn the rig as the settings say, and assign.

        Raises:
            DataError: If the front is no view, or one without an azimuth.
        """
        slots, front = self._config.slots_deg, self._config.front
        if isinstance(front, float):
            return assign_slots(centers, slots, turn_deg=(slots[0] - front + 180) % 360 - 180)
        names = [view.name for view in sample.views]
        try:
            if front == "best":
                return assign_slots(centers, slots, turn_deg=best_turn(centers, slots))
            if front in names:
                index = names.index(front)
                turn = turn_to_front(centers[index], slots)
                return assign_slots(centers, slots, turn_deg=turn, front=index)
        except DataError as error:
            raise DataError(f"sample {sample.id}: {error}") from error
        raise DataError(
            f"sample {sample.id}: expected front: best, an azimuth or one of {', '.join(names)}, "
            f"got {front!r}. Name a view as the sample does."
        )
