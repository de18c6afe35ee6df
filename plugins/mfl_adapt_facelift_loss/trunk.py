"""Frozen image networks whose inner features are compared: VGG-19, VGG-16 and AlexNet.

A plan says which layers there are; the weights are plain tensors by layer, and never learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mfl_adapt.errors import ShapeError


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution with its ReLU.

    Attributes:
        name: Of its tensors, which are ``<name>.weight`` and ``<name>.bias``.
        into: Channels in.
        out: Channels out.
        kernel: Side of the kernel.
        stride: Step of the kernel.
        padding: Zeros around.
        tap: Whether its output, after the ReLU, is compared.
    """

    name: str
    into: int
    out: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    tap: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """A pooling layer: the mean or the greatest of a window of ``size`` every two pixels."""

    size: int = 2
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A network up to the last layer that is compared.

    Attributes:
        layers: In order.
        least: Smallest side of a picture that leaves something to compare.
    """

    layers: tuple[Conv | Pool, ...]
    least: int

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor."""
        for layer in self.layers:
            if isinstance(layer, Conv):
                yield f"{layer.name}.weight", (layer.out, layer.into, layer.kernel, layer.kernel)
                yield f"{layer.name}.bias", (layer.out,)


def _vgg(names: Sequence[str], blocks: Sequence[int], taps: set[int], *, mean: bool) -> Plan:
    """Lay out a VGG: blocks of 3x3 convolutions of one width, each but the last pooled."""
    layers: list[Conv | Pool] = []
    into, count = 3, 0
    for block, length in enumerate(blocks):
        if block:
            layers.append(Pool(mean=mean))
        out = min(64 * 2**block, 512)
        for _ in range(length):
            layers.append(Conv(names[count], into, out, tap=count + 1 in taps))
            into, count = out, count + 1
    return Plan(tuple(layers), least=2 ** (len(blocks) - 1))


# conv15 and conv16 of the file come after the last tap.
VGG19 = _vgg(
    [f"conv{number}" for number in range(1, 15)],
    (2, 2, 4, 4, 2),
    {2, 4, 6, 10, 14},
    mean=True,
)
"""With mean pooling, as GS-LRM's perceptual loss has it; the names are those of its checkpoint."""

VGG16 = _vgg(
    [f"features.{place}" for place in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)],
    (2, 2, 3, 3, 3),
    {2, 4, 7, 10, 13},
    mean=False,
)
"""As LPIPS uses it; the names are torchvision's."""

ALEXNET = Plan(
    (
        Conv("features.0", 3, 64, kernel=11, stride=4, padding=2, tap=True),
        Pool(size=3),
        Conv("features.3", 64, 192, kernel=5, padding=2, tap=True),
        Pool(size=3),
        Conv("features.6", 192, 384, tap=True),
        Conv("features.8", 384, 256, tap=True),
        Conv("features.10", 256, 256, tap=True),
    ),
    least=31,
)
"""As LPIPS uses it; the names are torchvision's."""


class Trunk:
    """A plan with its weights."""

    def __init__(self, plan: Plan, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights, which the caller has held against ``plan.shapes``."""
        self.plan, self._tensors = plan, dict(tensors)

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Return what the compared layers say.

        Args:
            pictures: [N, 3, H, W], normalised as the network wants them.

        Returns:
            One [N, C, h, w] per tap, from the first to the last.
        """
        tensors, taps = self._near(pictures), []
        x = pictures
        for layer in self.plan.layers:
            if isinstance(layer, Pool):
                pool = F.avg_pool2d if layer.mean else F.max_pool2d
                x = pool(x, layer.size, 2)
                continue
            weight, bias = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, layer.stride, layer.padding))
            if layer.tap:
                taps.append(x)
        return taps

    def check_size(self, where: str, pictures: Tensor) -> None:
        """Raise if pictures [..., H, W] are too small for the last layer.

        Raises:
            ShapeError: If they are.
        """
        if min(pictures.shape[-2:]) < self.plan.least:
            raise ShapeError(
                f"{where}: expected pictures of at least {self.plan.least} x {self.plan.least} "
                f"pixels, got {list(pictures.shape[-2:])}. Use larger pictures, or leave it out."
            )

    def _near(self, pictures: Tensor) -> Mapping[str, Tensor]:
        """Move the weights to where the pictures are, once."""
        first = next(iter(self._tensors.values()))
        if first.device != pictures.device or first.dtype != pictures.dtype:
            self._tensors = {name: one.to(pictures) for name, one in self._tensors.items()}
        return self._tensors


def compare(trunk: Trunk, pred: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the features of pictures [N, 3, H, W] tap by tap; the target gets no gradient."""
    with torch.no_grad():
        wanted = trunk(target)
    yield from zip(trunk(pred), wanted, strict=True)
