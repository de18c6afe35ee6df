"""Settings of the preprocessors."""

from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mfl_adapt.plugin import ComponentConfig

PATTERN_FIELDS = ("sample", "view", "session", "animal", "frame")
DEFAULT_PATTERNS = {"folder": "{sample}/{view}.png", "video": "{view}.mp4"}
DEFAULT_THRESHOLDS = {"white": 250, "video": 127}

Share = Annotated[float, Field(gt=0, le=1)]
Level = Annotated[float, Field(ge=0, le=1)]


class AutoMaskConfig(ComponentConfig):
    """Settings of ``preprocess.auto_mask``."""

    source: Literal["alpha", "white", "folder", "video"] = Field(
        description="What tells the subject: the alpha channel that the reader kept, a white "
        "background, a folder of grey mask pictures, or a folder of mask videos."
    )
    threshold: int | None = Field(
        default=None,
        ge=0,
        le=254,
        description="white: a pixel is background where all channels are above it; unset, 250. "
        "Else: opacity above it becomes 255 and the rest 0; unset, 127 for video, and opacity is "
        "kept as it is for alpha and folder.",
    )
    folder: Path | None = Field(default=None, description="Where mask pictures or videos lie.")
    pattern: str | None = Field(
        default=None,
        description="Path of a mask below the folder, with {view} and any of {sample}, {session}, "
        "{animal}, {frame}; unset, {sample}/{view}.png for folder and {view}.mp4 for video, of "
        "which the frame is taken that the sample was read from.",
    )
    drawn_on: Literal["raw", "picture"] | None = Field(
        default=None,
        description="Whether masks from files fit the raw frames or the pictures as they are at "
        "this step; needed only where a lens was undone or pixels have moved.",
    )
    max_share: Share = Field(
        default=0.9,
        description="A mask that covers more of its picture than this is an error.",
    )

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        named = [key for key in ("folder", "pattern", "drawn_on") if getattr(self, key) is not None]
        if self.source not in DEFAULT_PATTERNS:
            if named:
                raise ValueError(
                    f"expected {named[0]} only with source: folder or video, got {self.source}"
                )
            return self
        if self.folder is None:
            raise ValueError("expected folder, the place of the masks, got none")
        _check_pattern(self.pattern or DEFAULT_PATTERNS[self.source])
        return self


class CleanMaskConfig(ComponentConfig):
    """Settings of ``preprocess.clean_mask``; the steps run in this order."""

    close_px: int = Field(
        default=0, ge=0, le=64, description="Radius of the closing, which bridges narrow gaps."
    )
    open_px: int = Field(
        default=0, ge=0, le=64, description="Radius of the opening, which removes thin threads."
    )
    largest: bool = Field(default=True, description="Keep the largest piece alone.")
    min_area_px: int = Field(default=1, ge=1, description="Remove pieces of fewer pixels.")
    max_hole_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Fill holes up to this share of the subject; larger ones are taken for real, "
        "as inside a curled tail.",
    )


class ComCenterConfig(ComponentConfig):
    """Settings of ``preprocess.com_center``."""

    side: int | None = Field(
        default=None,
        ge=8,
        le=16384,
        description="Side of the new pictures; unset, the shortest side of the old ones, or more "
        "where the subject needs it.",
    )


class SampleScaleConfig(ComponentConfig):
    """Settings of ``preprocess.sample_scale``."""

    target: Share = Field(
        default=0.6,
        description="Size ratio to reach in the mean of the views: the square root of the share "
        "of the picture that the subject covers.",
    )
    margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Part of the way from the principal point to each edge that stays free.",
    )


class PixelScaleConfig(ComponentConfig):
    """Settings of ``preprocess.pixel_scale``."""

    target: Share = Field(
        default=0.3, description="Size ratio that every view is zoomed to, each by itself."
    )


class CompositeConfig(ComponentConfig):
    """Settings of ``preprocess.composite``."""

    color: Level | tuple[Level, Level, Level] = Field(
        default=1.0, description="Grey level, or red, green and blue, in [0, 1]."
    )


def _check_pattern(pattern: str) -> None:
    """Raise unless a pattern names the view, by known fields only, and can be filled in.

    Raises:
        ValueError: Which pydantic turns into a message about the section.
    """
    known = ", ".join(f"{{{name}}}" for name in PATTERN_FIELDS)
    try:
        fields = [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
        unknown = [name for name in fields if name not in PATTERN_FIELDS]
        if not unknown:
            pattern.format(sample="s", view="v", session="s", animal="a", frame=0)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"expected a pattern like {{sample}}/{{view}}.png, got {pattern!r}"
        ) from error
    if unknown:
        raise ValueError(f"expected a pattern of {known}, got {{{unknown[0]}}} in {pattern!r}")
    if "view" not in fields:
        raise ValueError(f"expected a pattern with {{view}}, got {pattern!r}")
