"""Learned perceptual image patch similarity, on weight files that the user gives.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
2018, version 0.1. The weights do not ship with this package, so its numbers on them are untested
here; the formula is tested on stand-in weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mfl_adapt.metrics import check_pictures, full_precision
from mfl_adapt.plugin import LossContext

from .config import LPIPSConfig
from .trunk import ALEXNET, VGG16, Conv, Plan, Trunk, compare
from .weight_files import read_named, rename, take

_PLANS: dict[str, tuple[Plan, str]] = {"vgg": (VGG16, "VGG-16"), "alex": (ALEXNET, "AlexNet")}
# Colours in [-1, 1] to the normalisation that torchvision's networks were trained with.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_TINY = 1e-10
# As torchvision names them, or as the whole network of the public package does.
_TRUNK_NAMES = r"(?:.*\.)?(?:features|slice\d)\.(\d+)\.(weight|bias)"
_LINEAR_NAMES = r"(?:.*\.)?lin(\d)\.model\.1\.weight"


def read_lpips(trunk: Path, linear: Path, net: str) -> tuple[Trunk, list[Tensor]]:
    """Read a network and its linear layers.

    Args:
        trunk: File with torchvision's network.
        linear: File with the linear layers, ``lin0.model.1.weight`` [1, C, 1, 1] and so on.
        net: ``vgg`` or ``alex``.

    Returns:
        The network, and one weight per channel, [C], for each of its taps.

    Raises:
        CheckpointError: If a file is missing or damaged, or a tensor does not fit.
    """
    plan, title = _PLANS[net]
    trunk, linear = trunk.expanduser(), linear.expanduser()
    named = rename(read_named(trunk), _TRUNK_NAMES, r"features.\1.\2")
    tensors = take(
        trunk,
        named,
        dict(plan.shapes()),
        what=f"torchvision's {title}. Name its state dict, or set net.",
    )
    taps = [layer.out for layer in plan.layers if isinstance(layer, Conv) and layer.tap]
    layers = take(
        linear,
        rename(read_named(linear), _LINEAR_NAMES, r"lin\1.weight"),
        {f"lin{place}.weight": (1, channels, 1, 1) for place, channels in enumerate(taps)},
        what=f"the linear layers of LPIPS 0.1 for {title}. Name {net}.pth of the lpips package.",
    )
    return Trunk(plan, tensors), [one.flatten() for one in layers.values()]


def lpips(pred: Tensor, target: Tensor, trunk: Trunk, linear: Sequence[Tensor]) -> Tensor:
    """Weighted squared difference of features that were scaled to unit length.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1].
        target: Photographed colour, same shape and range as ``pred``; gets no gradient.
        trunk: Network.
        linear: One weight per channel, [C], for each of its taps.

    Returns:
        One value per view, [B, V], not negative for weights that are not; 0 where the pictures are
        equal.

    Raises:
        ShapeError: If the two differ in shape, or are too small for the network.
    """
    check_pictures("lpips", pred, target)
    trunk.check_size("lpips", pred)
    with full_precision(pred, target) as (pred, target):
        shape = pred.shape[:2]
        pred, target = (_normalise(one.flatten(0, 1)) for one in (pred, target))
        total = pred.new_zeros(pred.shape[0])
        for weights, (seen, wanted) in zip(linear, compare(trunk, pred, target), strict=True):
            difference = (_to_unit(seen) - _to_unit(wanted)).square()
            per_pixel = (weights.to(difference).view(1, -1, 1, 1) * difference).sum(dim=1)
            total = total + per_pixel.mean(dim=(1, 2))
        return total.reshape(shape)


def _normalise(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in [0, 1] as the network knows them."""
    shift, scale = (
        torch.tensor(one, dtype=pictures.dtype, device=pictures.device).view(1, 3, 1, 1)
        for one in (_SHIFT, _SCALE)
    )
    return (2 * pictures - 1 - shift) / scale


def _to_unit(features: Tensor) -> Tensor:
    """Features [N, C, h, w] of unit length at every pixel; 0 stays 0, with a gradient of 0."""
    square = features.square().sum(dim=1, keepdim=True)
    # The root of 0 has no gradient, and ReLU makes whole pixels 0.
    return features / (square.clamp_min(_TINY**2).sqrt() + _TINY)


class LPIPS:
    """The component ``facelift_loss.lpips``."""

    def __init__(self, config: LPIPSConfig) -> None:
        """Read network and linear layers.

        Raises:
            CheckpointError: If the weights cannot be used.
        """
        self.config = config
        self._trunk, self._linear = read_lpips(config.trunk, config.linear, config.net)

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``lpips`` per view, [B, V]; the mask is not looked at."""
        check_pictures("lpips", pred, target, mask)
        return lpips(pred, target, self._trunk, self._linear)
