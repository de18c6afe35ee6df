"""The UNet's configuration, as FaceLift publishes it, in the terms of diffusers' own UNet.

Free of torch and diffusers, so that plugins can be listed and configurations validated quickly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG
from mfl_adapt.errors import CheckpointError
from mfl_adapt.types import RigContract

Pattern = Literal["reference", "dense", "self"]
"""Which views a view attends to: the first one and itself, all of its object, itself alone."""

VIEW_NAMES = ("front", "front_right", "right", "back", "left", "front_left")
"""What the prompts call the six views, in slot order."""

PUBLISHED_CLASS = "UNetMV2DConditionModel"

# FaceLift's name of a block to diffusers' name of the same block.
_BLOCKS = {
    "CrossAttnDownBlockMV2D": "CrossAttnDownBlock2D",
    "CrossAttnUpBlockMV2D": "CrossAttnUpBlock2D",
    "UNetMidBlockMV2DCrossAttn": "UNetMidBlock2DCrossAttn",
    "DownBlock2D": "DownBlock2D",
    "UpBlock2D": "UpBlock2D",
}
# What a sister model may switch on, and the only value under which our UNet computes the same.
_FIXED = {
    "cd_attention_mid": False,
    "cd_attention_last": False,
    "addition_downsample": False,
    "selfattn_block": "custom",
    "only_cross_attention": False,
    "dual_cross_attention": False,
    "class_embed_type": "projection",
}
# What only this family has, and diffusers' UNet does not know.
_FAMILY = {
    "num_views",
    "multiview_attention",
    "sparse_mv_attention",
    "cd_attention_mid",
    "cd_attention_last",
    "selfattn_block",
    "addition_downsample",
    "addition_channels",
}


@dataclass(frozen=True, slots=True, eq=False)
class UNetSettings:
    """What a ``unet/config.json`` says.

    Attributes:
        options: Arguments for diffusers' ``UNet2DConditionModel``; may hold keys unknown to it.
        num_views: Views per object, V.
        pattern: Which views a view attends to.
        source: The file's own content.
    """

    options: Mapping[str, Any]
    num_views: int
    pattern: Pattern
    source: Mapping[str, Any]


def translate_config(source: Mapping[str, Any], *, where: str = "unet/config.json") -> UNetSettings:
    """Read the published configuration.

    Args:
        source: The parsed file.
        where: Name of the file, for messages.

    Raises:
        CheckpointError: If it belongs to another variant of the family, or a key that decides
            what is computed is missing or has another type.
    """
    name = source.get("_class_name", PUBLISHED_CLASS)
    if name != PUBLISHED_CLASS:
        raise CheckpointError(
            f"{where}: expected _class_name {PUBLISHED_CLASS}, got {name!r}. "
            "Name the folder of a multi-view diffusion model."
        )
    for key, value in _FIXED.items():
        if source.get(key, value) != value:
            raise CheckpointError(
                f"{where}: expected {key} {value!r}, got {source[key]!r}. "
                "That is another variant of the model, which is not supported."
            )
    options = {key: value for key, value in source.items() if key not in _FAMILY}
    for key in ("down_block_types", "up_block_types"):
        blocks = _require(source, key, list, where)
        options[key] = tuple(_translate_block(block, key, where) for block in blocks)
    middle = _require(source, "mid_block_type", str, where)
    options["mid_block_type"] = _translate_block(middle, "mid_block_type", where)
    num_views = _require(source, "num_views", int, where)
    if num_views < 1:
        raise CheckpointError(f"{where}: expected num_views of at least 1, got {num_views}.")
    # diffusers shares one head count among blocks, or takes a tuple; a list would be misread.
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return UNetSettings(options, num_views, _find_pattern(source, where), source)


def build_contract(size: int, patch: int, num_views: int) -> RigContract:
    """Return what the model assumes about pictures, and where its six views stand.

    The model never sees a camera: the slots say where the views that it makes belong. With
    another number of views the prompts decide that, and the slots are empty.

    Args:
        size: Side of the pictures in pixels.
        patch: Pixels per latent along each axis.
        num_views: Views per object.
    """
    return RigContract(
        size=size,
        patch=patch,
        depth_reach=1.8,  # that of the reconstructor which its views are made for
        input_views=(1, 1),
        cut_edges=("bottom",),
        slots_deg=FACELIFT_SLOTS_DEG if num_views == len(FACELIFT_SLOTS_DEG) else (),
    )


PUBLISHED_CONTRACT = build_contract(512, 8, 6)
"""FaceLift's published model: 512 px pictures, six views."""

TINY_CONTRACT = build_contract(64, 4, 6)
"""The model that ships with the package: 64 px pictures, six views."""


def _find_pattern(source: Mapping[str, Any], where: str) -> Pattern:
    """Derive the attention pattern; a missing key is no reason to guess."""
    if not _require(source, "multiview_attention", bool, where):
        return "self"
    return "reference" if _require(source, "sparse_mv_attention", bool, where) else "dense"


def _translate_block(name: Any, key: str, where: str) -> str:
    """Return diffusers' name of a block.

    Raises:
        CheckpointError: If the block is none of this model's.
    """
    if not isinstance(name, str) or name not in _BLOCKS:
        raise CheckpointError(
            f"{where}: expected {key} of {', '.join(_BLOCKS)}, got {name!r}. "
            "That is another variant of the model, which is not supported."
        )
    return _BLOCKS[name]


def _require(source: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """Return a value that must be there.

    Raises:
        CheckpointError: If it is missing or of another type.
    """
    value = source.get(key)
    # True is an int to Python, and no number of views.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        got = repr(value) if key in source else "none"
        raise CheckpointError(
            f"{where}: expected key {key!r} with a value of type {kind.__name__}, got {got}. "
            "Name the folder of a multi-view diffusion model."
        )
    return value
