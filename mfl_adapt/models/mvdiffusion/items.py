"""One training example from a sample folder, as the published model was trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mfl_adapt.checks import check_range
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import load_picture

if TYPE_CHECKING:
    from mfl_adapt.types import Float

Background = Literal["white", "black", "gray", "three_choices", "random"] | float
"""A colour, or how one is drawn for each example: one of three greys, or any colour."""

_GREYS = {"white": 1.0, "black": 0.0, "gray": 0.5}


class Item(NamedTuple):
    """Pictures of one object.

    Attributes:
        imgs_in: The reference view, once: [3, H, W] float32 in [0, 1].
        imgs_out: All views, [V, 3, H, W]; the first is the reference.
    """

    imgs_in: Tensor
    imgs_out: Tensor


def read_item(
    folder: Path,
    *,
    size: int,
    num_views: int = 6,
    background: Background = "white",
    generator: torch.Generator | None = None,
) -> Item:
    """Read ``cam_000.png`` and the others, in slot order, over one background.

    The reference is always view 0: a denoiser whose reference may be any view learns to copy
    its input.

    Args:
        folder: Holds the pictures, with alpha.
        size: Side in pixels; other pictures are resized with Pillow's Lanczos filter.
        num_views: How many pictures to read.
        background: Colour behind the subject, the same for all views.
        generator: Draws the colour where it is drawn.

    Raises:
        DataError: If a picture is missing, damaged or empty.
        ConfigError: If the background is unknown, or drawn without a generator.
        RangeError: If the background leaves [0, 1].
    """
    colour = choose_background(background, generator)
    views = [_read_view(folder / f"cam_{view:03d}.png", size, colour) for view in range(num_views)]
    stacked = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).contiguous()
    return Item(stacked[0], stacked)


def choose_background(background: Background, generator: torch.Generator | None = None) -> Float:
    """Return a colour, [3] float32.

    Raises:
        ConfigError: If the word is unknown, or a colour must be drawn and there is no generator.
        RangeError: If a number leaves [0, 1].
    """
    if isinstance(background, int | float):
        check_range("background", background, 0.0, 1.0, hint="Give a grey in [0, 1].")
        return np.full(3, background, np.float32)
    if background in _GREYS:
        return np.full(3, _GREYS[background], np.float32)
    if background not in {"three_choices", "random"}:
        raise ConfigError(
            f"background: expected {', '.join(_GREYS)}, three_choices, random or a number, got "
            f"{background!r}. Choose one."
        )
    if generator is None:
        raise ConfigError(
            f"background: expected a generator to draw {background!r} with, got none. Give one."
        )
    if background == "random":
        return torch.rand(3, generator=generator).numpy()
    choice = int(torch.randint(len(_GREYS), (), generator=generator))
    return np.full(3, list(_GREYS.values())[choice], np.float32)


def _read_view(path: Path, size: int, colour: Float) -> Float:
    """Return [size, size, 3] float32 over a colour.

    Raises:
        DataError: If nothing in the picture is opaque.
    """
    rgb, mask = load_picture(path)
    if mask is None:
        mask = np.full(rgb.shape[:2], 255, np.uint8)
    picture = Image.fromarray(np.dstack([rgb, mask]))
    if picture.size != (size, size):
        # Pillow multiplies colour by alpha for this and divides afterwards.
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    values = np.asarray(picture, np.float32) / 255.0
    alpha = values[..., 3:]
    if alpha.sum() < 1e-8:
        raise DataError(
            f"{path}: expected a subject, got a picture that is transparent everywhere. "
            "Leave the sample out of the list or mend its mask."
        )
    return values[..., :3] * alpha + colour * (1 - alpha)
