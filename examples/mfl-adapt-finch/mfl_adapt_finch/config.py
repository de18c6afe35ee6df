"""Settings of reader and check, free of torch and OpenCV: they are read to list the plugin."""

from pathlib import Path
from typing import Self

from mfl_adapt.plugin import ComponentConfig
from pydantic import Field, model_validator


class SessionsConfig(ComponentConfig):
    """Settings of ``sessions``; a run fills in ``path`` from ``data.path``."""

    path: Path | None = Field(default=None, description="Folder of the aviary.")
    sessions: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Sessions to read, in this order; null reads all."
    )
    cameras: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Cameras to read, in this order; null reads all."
    )
    every: int = Field(default=1, ge=1, description="Take every so many frames of a session.")


class PerchesConfig(ComponentConfig):
    """Settings of ``perches``; a zebra finch is some 110 mm long, and its beak 9 mm high."""

    warn_above_mm: float = Field(
        default=3.0, gt=0, description="Error at the perch that is worth a warning, in mm."
    )
    law_above_mm: float = Field(
        default=10.0, gt=0, description="Error at the perch that stops a run, in mm."
    )
    least_marks: int = Field(
        default=2, ge=1, description="Fewer marks than this say nothing about a camera."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn_above_mm > self.law_above_mm:
            raise ValueError(
                f"expected warn_above_mm up to law_above_mm, got {self.warn_above_mm:g} and "
                f"{self.law_above_mm:g}"
            )
        return self
