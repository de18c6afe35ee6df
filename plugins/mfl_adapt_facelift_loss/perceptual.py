"""Difference of VGG-19 features, as GS-LRM was trained with.

The network is the one of its authors: MatConvNet's weights, pictures as bytes minus a mean colour
in the order red, green, blue, mean pooling instead of maximum. Features of torchvision's VGG-19
have another scale and give other numbers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mfl_adapt.metrics import check_pictures, full_precision
from mfl_adapt.plugin import LossContext

from .config import PerceptualConfig
from .matconvnet import is_matlab, read_matconvnet
from .trunk import VGG19, Trunk, compare
from .weight_files import read_named, rename, take

_MEAN_BYTES = (123.68, 116.779, 103.939)
_TAP_WEIGHTS = (1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5)
_WHAT = (
    "the VGG-19 of GS-LRM's perceptual loss. Name a published GS-LRM checkpoint or "
    "imagenet-vgg-verydeep-19.mat; torchvision's VGG-19 is another network."
)
# Below the wrapper's prefix in a checkpoint, or on its own.
_NAMES = r"(?:.*perceptual_loss_module\.net\.)?(conv\d+\.(?:weight|bias))"


def read_vgg19(path: Path, *, md5: str) -> Trunk:
    """Read the network.

    Args:
        path: Checkpoint of a GS-LRM, or the ``.mat`` file of its authors.
        md5: That a ``.mat`` file must have.

    Raises:
        CheckpointError: If the file is missing, damaged or another one, or a tensor does not fit.
    """
    path = path.expanduser()
    if is_matlab(path):
        named = read_matconvnet(path, md5=md5)
    else:
        named = rename(read_named(path), _NAMES, r"\1")
    return Trunk(VGG19, take(path, named, dict(VGG19.shapes()), what=_WHAT))


def perceptual(pred: Tensor, target: Tensor, trunk: Trunk) -> Tensor:
    """Weighted mean absolute difference of pictures and their features.

    Args:
        pred: Rendered colour, [B, V, 3, H, W], sRGB-encoded in [0, 1]; H and W at least 16.
        target: Photographed colour, same shape and range as ``pred``; gets no gradient.
        trunk: ``VGG19`` with its weights.

    Returns:
        One value per view, [B, V], not negative; 0 where the pictures are equal.

    Raises:
        ShapeError: If the two differ in shape, or are too small for the network.
    """
    check_pictures("perceptual", pred, target)
    trunk.check_size("perceptual", pred)
    with full_precision(pred, target) as (pred, target):
        shape = pred.shape[:2]
        pred, target = (_to_bytes(one.flatten(0, 1)) for one in (pred, target))
        total = (pred - target.detach()).abs().mean(dim=(1, 2, 3))
        for weight, (seen, wanted) in zip(_TAP_WEIGHTS, compare(trunk, pred, target), strict=True):
            total = total + weight * (seen - wanted).abs().mean(dim=(1, 2, 3))
        return (total / 255).reshape(shape)


def _to_bytes(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in [0, 1] as bytes about the mean colour."""
    mean = torch.tensor(_MEAN_BYTES, dtype=pictures.dtype, device=pictures.device)
    return 255 * pictures - mean.view(1, 3, 1, 1)


class Perceptual:
    """The component ``facelift_loss.perceptual``."""

    def __init__(self, config: PerceptualConfig) -> None:
        """Read the network.

        Raises:
            CheckpointError: If the weights cannot be used.
        """
        self.config = config
        self._trunk = read_vgg19(config.weights, md5=config.md5)

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return ``perceptual`` per view, [B, V]; the mask is not looked at."""
        check_pictures("perceptual", pred, target, mask)
        return perceptual(pred, target, self._trunk)
