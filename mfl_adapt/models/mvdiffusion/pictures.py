"""Input pictures, however they come, as 8-bit arrays of the right size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from mfl_adapt.checks import check_finite, check_range
from mfl_adapt.errors import DataError, ShapeError

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

Picture = Image.Image | np.ndarray[Any, np.dtype[np.uint8]]
"""A Pillow picture in mode RGB, or [H, W, 3] uint8."""

Pictures = Picture | Sequence[Picture] | Tensor
"""One picture for all views; or one per item; or [N, 3, H, W] float in [0, 1]."""


def to_items(pictures: Pictures, items: int, size: int) -> list[Bytes]:
    """Return one 8-bit picture per item.

    Args:
        pictures: See ``Pictures``. Tensors are quantised by truncation, as the published model
            was run.
        items: How many there must be, N.
        size: Side that they must have in pixels.

    Returns:
        N arrays [size, size, 3]; one and the same array where one picture serves many items.

    Raises:
        ShapeError: If number or size differ.
        DataError: If a picture is not opaque 8-bit RGB.
        RangeError: If a tensor leaves [0, 1] or is not finite.
    """
    if isinstance(pictures, Tensor):
        arrays = _from_tensor(pictures)
    elif isinstance(pictures, Image.Image | np.ndarray):
        arrays = [_from_picture(pictures, "picture")] * items
    else:
        arrays = [_from_picture(one, f"picture {i}") for i, one in enumerate(pictures)]
    if len(arrays) != items:
        raise ShapeError(
            f"pictures: expected {items}, one per row of the prompt embeddings, got "
            f"{len(arrays)}. Give one picture, or one per view of every object."
        )
    for index, array in enumerate(arrays):
        if array.shape[:2] != (size, size):
            raise ShapeError(
                f"picture {index}: expected {size} x {size} pixels, got height {array.shape[0]} "
                f"and width {array.shape[1]}. Bring the subject to the model's size first."
            )
    return arrays


def is_picture(pictures: Pictures) -> bool:
    """Whether it is one picture, which serves all views."""
    return isinstance(pictures, Image.Image | np.ndarray)


def find_unique(arrays: Sequence[Bytes]) -> tuple[list[Bytes], list[int]]:
    """Return the different pictures, and for each given one its index among them."""
    places: dict[bytes, int] = {}
    by_identity: dict[int, int] = {}
    unique: list[Bytes] = []
    for array in arrays:
        if id(array) in by_identity:
            continue
        place = places.setdefault(array.tobytes(), len(unique))
        if place == len(unique):
            unique.append(array)
        by_identity[id(array)] = place
    return unique, [by_identity[id(array)] for array in arrays]


def _from_picture(picture: Picture, where: str) -> Bytes:
    """Return [H, W, 3] uint8.

    Raises:
        DataError: If the picture has transparency, another depth or other channels.
    """
    if isinstance(picture, Image.Image):
        if picture.mode != "RGB" or getattr(picture, "n_frames", 1) > 1:
            frames = getattr(picture, "n_frames", 1)
            got = f"mode {picture.mode}" if frames == 1 else f"{frames} frames"
            raise DataError(
                f"{where}: expected one opaque 8-bit RGB picture, got {got}. "
                "Composite it on the model's background first."
            )
        return np.asarray(picture)
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise DataError(
            f"{where}: expected [height, width, 3] of uint8, got {list(array.shape)} of "
            f"{array.dtype}. Composite it on the model's background first."
        )
    return array


def _from_tensor(pictures: Tensor) -> list[Bytes]:
    """Quantise [N, 3, H, W] in [0, 1].

    Raises:
        ShapeError: If the tensor has other axes.
    """
    if pictures.dim() != 4 or pictures.shape[1] != 3 or not pictures.is_floating_point():
        raise ShapeError(
            f"pictures: expected [N, 3, H, W] floating-point, got {list(pictures.shape)} of "
            f"{pictures.dtype}. Move channels before height."
        )
    check_finite("pictures", pictures)
    for bound in (pictures.min(), pictures.max()):
        check_range("pictures", float(bound), 0.0, 1.0, hint="Divide 8-bit values by 255.")
    whole = (pictures.detach().float() * 255.0).floor().byte()
    return list(whole.permute(0, 2, 3, 1).cpu().numpy())
