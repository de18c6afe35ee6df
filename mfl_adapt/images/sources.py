"""What readers and mask steps share: views by name or number, masks from alpha and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import DataError, did_you_mean
from mfl_adapt.images.decode import load_picture

if TYPE_CHECKING:
    from mfl_adapt.images.decode import Picture
    from mfl_adapt.types import Bytes

# Grey that went through JPEG or a video codec comes back with channels this far apart at most.
_GREY_SPREAD = 16


def choose_views(names: Sequence[str], views: Sequence[int | str] | None, where: str) -> list[int]:
    """Indices of the views to read, in the order the user asked for.

    Args:
        names: Names of all views.
        views: Names, or indices from 0; None takes all.
        where: File or sample, for messages.

    Returns:
        Indices into ``names``.

    Raises:
        DataError: If a view does not exist or is named twice.
    """
    if views is None:
        return list(range(len(names)))
    kept: list[int] = []
    for view in views:
        if isinstance(view, str) and view not in names:
            hint = did_you_mean(view, names)
            raise DataError(f"{where}: expected a view to keep, got {view!r}. {hint}")
        index = names.index(view) if isinstance(view, str) else view
        if not 0 <= index < len(names):
            raise DataError(
                f"{where}: expected view indices from 0 to {len(names) - 1}, got {index}. Change "
                f"the reader's views."
            )
        if index in kept:
            raise DataError(
                f"{where}: expected every view once, got {names[index]!r} twice. Change the "
                f"reader's views."
            )
        kept.append(index)
    return kept


def alpha_of(picture: Picture, path: Path) -> Bytes:
    """Return the alpha channel that a reader was told to take as the mask, [H, W] uint8.

    Args:
        picture: As it was read.
        path: Where it came from, for messages.

    Raises:
        DataError: If the picture has none.
    """
    if picture.mask is None:
        raise DataError(
            f"{path}: expected an alpha channel that holds the mask, got a picture without one. "
            f"Add it, or set mask: none and add preprocess.auto_mask.",
            code="MFL049",
        )
    return picture.mask


def load_mask(path: Path) -> Bytes:
    """Read a mask picture, white on the subject, [H, W] uint8.

    Raises:
        DataError: If it cannot be read, has colours or transparency, or holds only 0 and 1.
    """
    picture = load_picture(path)
    if picture.mask is not None and (picture.mask < 255).any():
        raise DataError(
            f"{path}: expected a grey mask picture, got one with an alpha channel. Save it as "
            "plain grey, white where the subject is."
        )
    mask = to_mask(picture.rgb, path)
    if mask.max() == 1:
        raise DataError(
            f"{path}: expected a mask of 0 and 255, got one of 0 and 1. Multiply it by 255."
        )
    return mask


def to_mask(rgb: Bytes, path: Path) -> Bytes:
    """One channel of a picture or video frame that has no colours, [H, W] uint8.

    Args:
        rgb: [H, W, 3] uint8.
        path: Where it came from, for messages.

    Raises:
        DataError: If it has colours.
    """
    spread = int((rgb.max(axis=2) - rgb.min(axis=2)).max())
    if spread > _GREY_SPREAD:
        raise DataError(
            f"{path}: expected a grey mask, white on the subject, got colours with channels "
            f"{spread} apart. This may be a photograph; check the path."
        )
    return np.ascontiguousarray(rgb[:, :, 1])
