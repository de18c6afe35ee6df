"""A picture at its place, and how it is to get there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import ConfigError
from mfl_adapt.images import composite

if TYPE_CHECKING:
    from mfl_adapt.predict.functions import UserFunction
    from mfl_adapt.types import Bytes, Float, RigContract

Framing = Literal["mask", "face", "none"]
Box = tuple[float, float, float, float]
"""x and y of the upper left corner, width and height, in pixels of the upright picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingSettings:
    """How a subject is brought to its place.

    Attributes:
        by: ``mask`` centres the mask and gives it the share of the picture that subjects had in
            training; ``face`` is the published crop, which needs a face's box; ``none`` only
            resizes a square picture.
        share: Share of the picture that the subject shall cover; None takes the middle of the
            contract's range. For ``mask``.
        scale: New pixels per old one, instead of a share; for sequences, whose subject must not
            pulse. For ``mask``.
        face_box: The face. For ``face``.
        detector: Finds the face where no box is given: rgb [H, W, 3] uint8 to a box or None.
    """

    by: Framing = "mask"
    share: float | None = None
    scale: float | None = None
    face_box: Box | None = None
    detector: UserFunction | None = None

    def __post_init__(self) -> None:
        """Hold the settings together.

        Raises:
            ConfigError: If one is given that the others do not use, or a box is missing.
            RangeError: If the share is not one.
        """
        faces = self.face_box is not None or self.detector is not None
        if (self.by == "face") != faces:
            raise ConfigError(
                "--framing: expected a face's box with --framing face and only there, got "
                f"--framing {self.by} {'with' if faces else 'without'} one. "
                "Give --face-box x,y,w,h or --face-detector package.module:function."
            )
        if self.share is not None:
            check_range("--share", self.share, 0.001, 0.9)
            if self.by != "mask":
                raise ConfigError(
                    f"--share: expected it with --framing mask, got --framing {self.by}."
                )


class Framed(NamedTuple):
    """A picture that a views base can take.

    Attributes:
        rgb: On the base's background, [S, S, 3] uint8.
        straight: Colour without background, [S, S, 3] uint8.
        mask: Opacity of the subject, [S, S] uint8.
        pixel_map: 3x3 from the upright picture's pixel coordinates to these.
        note: What was done, as one sentence.
    """

    rgb: Bytes
    straight: Bytes
    mask: Bytes
    pixel_map: Float
    note: str


def over_background(straight: Bytes, mask: Bytes, contract: RigContract) -> Bytes:
    """Put straight colour over the contract's background, [S, S, 3] uint8."""
    return np.rint(composite(straight, mask, contract.background) * 255.0).astype(np.uint8)
