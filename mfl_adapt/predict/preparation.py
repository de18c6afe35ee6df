"""What happens to a picture before the models see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfl_adapt.predict.background import Auto, Background
from mfl_adapt.predict.framed import FramingSettings
from mfl_adapt.predict.subject import one_subject

if TYPE_CHECKING:
    from mfl_adapt.predict.picture import RawPicture
    from mfl_adapt.types import Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What happens to a picture before the models see it.

    Attributes:
        background: Finds the subject.
        framing: Brings it to its place.
        largest: Take the largest of several subjects.
    """

    background: Background = field(default_factory=Auto)
    framing: FramingSettings = field(default_factory=FramingSettings)
    largest: bool = False

    def mask(self, picture: RawPicture) -> Bytes:
        """Return the mask of the picture's one subject, [H, W] uint8.

        Raises:
            DataError: If there is none or several.
        """
        found = self.background.mask(picture)
        return one_subject(found, picture.source, largest=self.largest)

    def describe(self, picture: RawPicture) -> dict[str, Any]:
        """Return everything that decides how a picture is prepared, as plain JSON values."""
        framing = self.framing
        detector = framing.detector
        return {
            "background": self.background.key(picture),
            "largest": self.largest,
            "framing": {
                "by": framing.by,
                "share": framing.share,
                "scale": framing.scale,
                "face_box": None if framing.face_box is None else list(framing.face_box),
                "detector": None if detector is None else f"{detector.reference}:{detector.digest}",
            },
        }
