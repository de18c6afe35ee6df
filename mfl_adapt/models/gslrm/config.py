"""The architecture of a GS-LRM network.

Free of torch, so that plugins can be listed and configurations validated quickly.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mfl_adapt.errors import ConfigError
from mfl_adapt.models.gslrm.facelift_file import (
    IN_CHANNELS,
    KEYS,
    Plucker,
    look_up,
    read_mapping,
    to_fields,
    to_mapping,
)
from mfl_adapt.types import RigContract

# Far beyond any network; a configuration must not ask for more than a machine could hold.
_LARGEST, _MOST = 2**16, 1000


class GSLRMConfig(BaseModel):
    """Architecture of a GS-LRM network; the defaults are those of FaceLift's published model.

    Attributes:
        image_size: Side of the pictures it was trained with, in pixels. The network itself
            takes any height and width that are multiples of the patch.
        patch_size: Side of a patch in pixels.
        d: Token width.
        d_head: Width of one attention head; divides ``d``.
        n_layer: Number of transformer blocks.
        n_gaussians: Number of free Gaussians, which belong to no pixel.
        sh_degree: Degree of the spherical harmonics of the colour.
        scaling_modifier: Factor on the activated scales; None leaves them alone.
        add_refsrc_marker: Tell the first view's tokens from the others' by a learned vector.
        hard_pixelalign: Keep each pixel's Gaussian on the pixel's ray.
        plucker: Ray channels beside the colour: ``custom`` is direction and the point nearest
            the origin, ``augmented`` puts the moment before them, ``standard`` is moment and
            direction.
        clamp_positions: Clamp the positions of pixel Gaussians to [-1, 1] per axis.
        depth_preact_bias: Added to the depth before the logistic function.
        depth_range: Least and greatest distance along the ray; only with ``standard``.
        depth_reference_origin: Centre the depth on the camera's distance from the origin; only
            with ``standard``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    image_size: int = Field(512, ge=1, le=_LARGEST)
    patch_size: int = Field(8, ge=1, le=_LARGEST)
    d: int = Field(1024, ge=1, le=_LARGEST)
    d_head: int = Field(64, ge=1, le=_LARGEST)
    n_layer: int = Field(24, ge=1, le=_MOST)
    n_gaussians: int = Field(2, ge=1, le=_LARGEST)
    sh_degree: int = Field(0, ge=0, le=3)
    scaling_modifier: float | None = Field(None, gt=0)
    add_refsrc_marker: bool = False
    hard_pixelalign: bool = True
    plucker: Plucker = "custom"
    clamp_positions: bool = False
    depth_preact_bias: float = 0.0
    depth_range: tuple[float, float] | None = None
    depth_reference_origin: bool = False

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        """Hold the values together that depend on one another.

        Raises:
            ValueError: If one does not divide the other, or the depth range is empty.
        """
        if self.d % self.d_head:
            raise ValueError(f"expected d a multiple of d_head, got {self.d} and {self.d_head}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"expected image_size a multiple of patch_size, got {self.image_size} and "
                f"{self.patch_size}"
            )
        if self.depth_range is not None and not 0 < self.depth_range[0] < self.depth_range[1]:
            raise ValueError(
                "expected a depth range from a positive distance to a greater one, got "
                f"{self.depth_range[0]:g} to {self.depth_range[1]:g}"
            )
        return self

    @property
    def in_channels(self) -> int:
        """Channels of a posed picture: colour and rays."""
        return 12 if self.plucker == "augmented" else 9

    @property
    def sh_coefficients(self) -> int:
        """Coefficients per colour, K."""
        return (self.sh_degree + 1) ** 2

    @property
    def gaussian_channels(self) -> int:
        """Numbers decoded per Gaussian: position, colour, scale, rotation, opacity."""
        return 3 + 3 * self.sh_coefficients + 3 + 4 + 1

    @property
    def depth_reach(self) -> float:
        """Half-length of the ray segment that can hold a pixel's Gaussian, in world units.

        Without ``hard_pixelalign`` there is no bound; the published 1.8 then only says how large
        a world the training data fill.
        """
        if self.plucker != "standard" or not self.hard_pixelalign:
            return 1.8
        if self.depth_range is not None:
            return (self.depth_range[1] - self.depth_range[0]) / 2
        return 1.8 if self.depth_reference_origin else 1.5

    @classmethod
    def from_facelift(cls, mapping: Mapping[str, Any], *, where: str = "config") -> Self:
        """Read FaceLift's nested mapping.

        Keys that do not describe the network (training, data, evaluation) are left alone.

        Args:
            mapping: The parsed file.
            where: Name of the file, for messages.

        Raises:
            ConfigError: If a key is missing, has a wrong type or value, or asks for something
                that this network does not do.
        """
        fields = to_fields(mapping, where)
        try:
            config = cls(**fields)
        except ValidationError as error:
            raise ConfigError(_one_line(where, error)) from error
        stated = look_up(mapping, IN_CHANNELS, where)
        if stated is not None and stated != config.in_channels:
            raise ConfigError(
                f"{where}: expected {IN_CHANNELS} {config.in_channels}, which is what "
                f"{config.plucker} ray channels make, got {stated!r}."
            )
        return config

    def to_facelift(self) -> dict[str, Any]:
        """Return the part of FaceLift's mapping that describes this network."""
        return to_mapping(self.model_dump(), self.in_channels)

    def contract(self) -> RigContract:
        """Return what the network assumes about pictures and cameras."""
        return RigContract(
            size=self.image_size,
            patch=self.patch_size,
            depth_reach=self.depth_reach,
            cut_edges=("bottom",),
        )


PUBLISHED = GSLRMConfig()
"""FaceLift's published reconstructor: 303.6 M parameters."""

TINY = GSLRMConfig(image_size=64, d=192, d_head=64, n_layer=6)
"""The small model that ships with the package: 2.9 M parameters."""


def read_config(path: Path) -> GSLRMConfig:
    """Read a FaceLift configuration file, YAML or (by its ending) JSON.

    Raises:
        ConfigError: If the file cannot be read or parsed, or does not describe a network.
    """
    return GSLRMConfig.from_facelift(read_mapping(path), where=str(path))


def _one_line(where: str, error: ValidationError) -> str:
    """Turn the first complaint into a line that names FaceLift's key."""
    first = error.errors()[0]
    rule = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{where}: {rule}."
    field = str(first["loc"][0])
    return f"{where}: {KEYS.get(field, field)}: {rule}, got {first['input']!r}."
