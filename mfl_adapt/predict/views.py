"""What ``predict`` needs of a base that makes views, and where those views stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from mfl_adapt.cameras import FACELIFT_SLOT_NAMES, FACELIFT_SLOTS_DEG, orbit
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Base

if TYPE_CHECKING:
    from torch import Tensor

    from mfl_adapt.types import Cameras, RigContract


@runtime_checkable
class ViewsBase(Base, Protocol):
    """A base that turns one picture into the views of its contract's slots."""

    @property
    def prompt_embeds(self) -> Tensor:
        """The rows that tell the slots apart, [V, tokens, D]."""
        ...

    def generate(self, pictures: Any, prompt_embeds: Tensor, **settings: Any) -> Any:
        """Make one view per row; the result's ``to_bytes()`` is [V, H, W, 3] uint8."""
        ...


def slot_cameras(contract: RigContract, size: int) -> Cameras:
    """Cameras of the slots in slot order, [V]: the contract's azimuths, elevation 0.

    Args:
        contract: Of the views base.
        size: Side of the pictures in pixels.

    Raises:
        ConfigError: If the base does not say where its views stand.
    """
    if not contract.slots_deg:
        raise ConfigError(
            "views_base: expected a base that says where its views stand, got one without slots. "
            "Use prompt embeddings of the published six views, or reconstruct from views whose "
            "cameras are known."
        )
    same = np.ones(len(contract.slots_deg))
    return orbit(
        contract.slots_deg,
        0.0 * same,
        contract.distance * same,
        contract.focal_ratio * same,
        size,
    )


def slot_conditions(base: ViewsBase) -> tuple[Tensor, dict[str, Any]]:
    """Return the prompt rows of the slots, and more settings of ``generate``.

    A base with a pose adapter wants to be told the cameras; those of its slots.
    """
    if getattr(base.module, "pose", None) is None:
        return base.prompt_embeds, {}
    posed: Any = base
    cameras = slot_cameras(base.contract, base.contract.size)
    return posed.prompts_for(cameras), {"cameras": cameras}


def slot_names(slots_deg: Sequence[float]) -> tuple[str, ...]:
    """Names of slots: FaceLift's own for its six azimuths, else the azimuth (``azimuth_30``)."""
    known = dict(zip(FACELIFT_SLOTS_DEG, FACELIFT_SLOT_NAMES, strict=True))
    return tuple(known.get(slot % 360.0, f"azimuth_{slot % 360.0:g}") for slot in slots_deg)
