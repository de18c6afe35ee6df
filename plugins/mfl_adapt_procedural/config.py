"""Settings of the reader, importable without the renderer."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from mfl_adapt.plugin import ComponentConfig

Species = Literal["heads", "mice"]

# Rigs of six cameras whose number and elevations are their own.
_FIXED_RIGS = ("slots", "lab")


def can_read(path: Path) -> bool:
    """Never claim a path: scenes are drawn, not read."""
    return False


class ProceduralConfig(ComponentConfig):
    """Settings that ``procedural.heads`` and ``procedural.mice`` share.

    Attributes:
        species: What to draw; given by the component's name.
        split: Series of scenes; the three never share one.
        samples: How many samples.
        seed: Another series of scenes within the split.
        rig: ``ring``: FaceLift's training ring at a random phase; ``random``: one camera per
            azimuth sector; ``slots``: FaceLift's six inference cameras; ``lab``: a real rig of six.
        num_views: Cameras of ``ring`` and ``random``, 8 unless given; the other rigs have six.
        elevation_deg: Least and greatest elevation in ``ring`` (drawn once per sample) and
            ``random`` (once per view); 20 unless given.
        focal_ratio: Focal length over picture width in ``ring`` and ``random``; FaceLift's 1.07225
            unless given.
        size: Picture side in pixels.
        workers: Processes that render a whole pass; 0 renders in this one. Rendering holds the
            interpreter's lock, so threads would not help. A script that sets this needs the usual
            ``if __name__ == "__main__":`` guard.
        cache: Folder that keeps rendered samples between runs; None keeps them in memory only.
    """

    species: ClassVar[Species]

    split: Literal["train", "validation", "test"] = "train"
    samples: int = Field(default=100, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=1_000)
    rig: Literal["ring", "random", "slots", "lab"] = "ring"
    num_views: int | None = Field(default=None, ge=1)
    elevation_deg: tuple[float, float] | None = None
    focal_ratio: float | None = Field(default=None, gt=0)
    size: int = Field(default=64, ge=8)
    workers: int = Field(default=0, ge=0)
    cache: Path | None = None

    @model_validator(mode="after")
    def _rig_uses_what_is_set(self) -> "ProceduralConfig":
        # A key that does nothing would be a silent surprise.
        if self.rig in _FIXED_RIGS and self.num_views not in {None, 6}:
            raise ValueError(f"rig '{self.rig}' has six cameras, got num_views {self.num_views}")
        if self.rig in _FIXED_RIGS and self.elevation_deg is not None:
            raise ValueError(f"rig '{self.rig}' has elevations of its own; remove elevation_deg")
        if self.rig in _FIXED_RIGS and self.focal_ratio is not None:
            raise ValueError(f"rig '{self.rig}' has lenses of its own; remove focal_ratio")
        if self.elevation_deg is not None:
            low, high = self.elevation_deg
            if not -89.0 <= low <= high <= 89.0:
                raise ValueError(
                    f"elevation_deg must rise within -89 to 89, got {list(self.elevation_deg)}"
                )
        return self


class HeadsConfig(ProceduralConfig):
    """Settings of ``procedural.heads``."""

    species: ClassVar[Species] = "heads"


class MiceConfig(ProceduralConfig):
    """Settings of ``procedural.mice``."""

    species: ClassVar[Species] = "mice"
