"""What a picture of one colour scores: the floor that a model must leave behind.

A small animal on white lets an all-white picture reach 12-15 dB over the whole frame; a training
run that stays there has learnt nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.checks import check_shape
from mfl_adapt.metrics.inputs import check_pictures, full_precision
from mfl_adapt.metrics.psnr import foreground_psnr, psnr


class ConstantScore(NamedTuple):
    """PSNR of a picture of one colour, per view.

    Attributes:
        picture: That picture, [B, V, 3, H, W], for further measures.
        full: dB over the whole frame, [B, V].
        foreground: dB where the mask is above one half, [B, V]; NaN where it is empty.
    """

    picture: Tensor
    full: Tensor
    foreground: Tensor


def constant_baseline(target: Tensor, mask: Tensor, colour: Tensor) -> ConstantScore:
    """Score a picture that has the same colour everywhere.

    Args:
        target: Photographed colour, [B, V, 3, H, W], in [0, 1].
        mask: [B, V, 1, H, W] in [0, 1].
        colour: [3] in [0, 1].

    Returns:
        The picture and its PSNR per view.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_pictures("constant_baseline", target, target, mask)
    check_shape("constant_baseline: colour", colour, [3])
    picture = colour.to(target).view(1, 1, 3, 1, 1).expand_as(target)
    return ConstantScore(picture, psnr(picture, target), foreground_psnr(picture, target, mask))


def white_baseline(target: Tensor, mask: Tensor) -> ConstantScore:
    """Score the empty scene: a white picture.

    Args:
        target: Photographed colour, [B, V, 3, H, W], in [0, 1].
        mask: [B, V, 1, H, W] in [0, 1].

    Returns:
        The picture and its PSNR per view.
    """
    return constant_baseline(target, mask, target.new_ones(3))


def mean_colour_baseline(
    target: Tensor, mask: Tensor, *, seen: Tensor | None = None
) -> ConstantScore:
    """Score the best guess of somebody who knows the average colour and no shape.

    Args:
        target: Photographed colour, [B, V, 3, H, W], in [0, 1].
        mask: [B, V, 1, H, W] in [0, 1].
        seen: Pictures whose mean colour is used, [..., 3, H, W], for instance those of
            training; None takes the targets themselves, the best that one colour can do.

    Returns:
        The picture and its PSNR per view.
    """
    return constant_baseline(target, mask, mean_colour(target if seen is None else seen))


def mean_colour(rgb: Tensor) -> Tensor:
    """Mean colour of all pixels of all pictures.

    Args:
        rgb: [..., 3, H, W] in [0, 1].

    Returns:
        [3], float32 (float64 stays float64).

    Raises:
        ShapeError: If the channels do not come third from the end.
    """
    check_shape("mean_colour: rgb", rgb, [*rgb.shape[:-3], 3, None, None])
    with full_precision(rgb) as (rgb,):
        return torch.movedim(rgb, -3, 0).flatten(1).mean(dim=1)
