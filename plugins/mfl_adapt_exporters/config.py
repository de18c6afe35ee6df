"""Settings of the exporters."""

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class PlyConfig(ComponentConfig):
    """``ply`` has nothing to set: viewers expect exactly one form of it."""


class CompressedPlyConfig(ComponentConfig):
    """``compressed_ply`` has nothing to set: the form fixes every number of bits."""


class SplatConfig(ComponentConfig):
    """``splat`` has nothing to set: the form has no variants."""


class Mp4Config(ComponentConfig):
    """Settings of ``mp4``.

    Attributes:
        crf: Constant rate factor of H.264: 0 loses nothing but colour resolution, 51 is worst.
    """

    crf: int = Field(default=18, ge=0, le=51)
