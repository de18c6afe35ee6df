"""What the frozen beginning of a network makes of pictures that come again, computed once.

Blocks before the first one that is trained give the same numbers for the same pictures and
cameras, bit for bit, so their output is kept in memory: tokens and rays, under a digest of all
that they depend on but the weights.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.models.rays import Rays
from mfl_adapt.types import Cameras

log = logging.getLogger(__name__)

_BLOCK = re.compile(r"transformer_layers\.(\d+)\.")
_HEADS = ("gaussian_upsampler.", "pixel_gaussian_decoder.")
MOST_BYTES = 2**31
"""Memory that a run's prefixes may take."""


class Begun(NamedTuple):
    """A forward pass at the end of its prefix.

    Attributes:
        rays: Of the input views.
        tokens: [B, T, D].
    """

    rays: Rays
    tokens: Tensor

    @property
    def num_bytes(self) -> int:
        """Memory of all tensors."""
        return sum(one.numel() * one.element_size() for one in (*self.rays, self.tokens))


class Prefix:
    """Outputs of the embedding and the first blocks of a network whose weights do not change.

    Items of a batch are computed and kept one by one, so that a result does not depend on what
    was kept, nor on which items meet in a batch. As pictures are told apart by their contents,
    those that are changed at random simply never come again; if the memory is full before any
    did, nothing is kept from then on.

    Attributes:
        depth: How many blocks belong to it; 0 is the embedding alone.
        hits: How many items were found.
    """

    def __init__(self, depth: int, *, most_bytes: int = MOST_BYTES) -> None:
        """Start with nothing kept.

        Args:
            depth: Number of blocks.
            most_bytes: Memory that may be taken.
        """
        self.depth, self.hits = depth, 0
        self._left = most_bytes
        self._kept: dict[bytes, Begun] = {}
        self._keeps = True

    def __len__(self) -> int:
        """Return how many items are kept."""
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """Memory taken so far."""
        return sum(one.num_bytes for one in self._kept.values())

    def of(self, rgb: Tensor, cameras: Cameras, begin: Callable[[Tensor, Cameras], Begun]) -> Begun:
        """Return the prefix of a batch, on its device.

        Args:
            rgb: [B, V, 3, H, W].
            cameras: [B, V], tensors.
            begin: Computes a prefix.
        """
        items = []
        for index in range(len(rgb)):
            one = slice(index, index + 1)
            rig = Cameras(
                cameras.c2w[one], cameras.fxfycxcy[one], height=cameras.height, width=cameras.width
            )
            items.append(self._of_one(rgb[one], rig, begin))
        if len(items) == 1:
            return items[0]
        rays = Rays(*(torch.cat(column) for column in zip(*(i.rays for i in items), strict=True)))
        return Begun(rays, torch.cat([item.tokens for item in items]))

    def _of_one(
        self, rgb: Tensor, cameras: Cameras, begin: Callable[[Tensor, Cameras], Begun]
    ) -> Begun:
        key = _digest(rgb, cameras) if self._keeps else b""
        found = self._kept.get(key)
        if found is not None:
            self.hits += 1
            return _to(found, rgb.device)
        with torch.no_grad():
            begun = begin(rgb, cameras)
        if self._keeps:
            self._keep(key, begun)
        return begun

    def _keep(self, key: bytes, begun: Begun) -> None:
        """Keep one item, if there is room."""
        # Two threads may count one item twice; the limit need not be exact.
        if begun.num_bytes <= self._left:
            self._left -= begun.num_bytes
            self._kept[key] = _to(begun, torch.device("cpu"))
        elif not self.hits:
            log.info("prefix: the pictures change from step to step; nothing of them is kept")
            self._keeps = False
            self._kept.clear()


def frozen_depth(changing: Collection[str], num_blocks: int) -> int | None:
    """Return how many blocks come before everything that may change.

    Args:
        changing: Names of parameters and layers, as in ``named_parameters``.
        num_blocks: Of the network.

    Returns:
        A number of blocks; None if the embedding itself may change.
    """
    depth = num_blocks
    for name in changing:
        block = _BLOCK.match(f"{name}.")
        if block is not None:
            depth = min(depth, int(block[1]))
        elif not name.startswith(_HEADS):
            return None
    return depth


def _digest(rgb: Tensor, cameras: Cameras) -> bytes:
    """Digest of everything that the prefix of an item depends on, its weights apart."""
    kind = rgb.device.type
    half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    sizes = (tuple(rgb.shape), cameras.height, cameras.width)
    digest = hashlib.blake2b(repr((kind, half, sizes)).encode(), digest_size=16)
    for tensor in (rgb, cameras.c2w, cameras.fxfycxcy):
        digest.update(repr(tensor.dtype).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.digest()


def _to(begun: Begun, device: torch.device) -> Begun:
    return Begun(Rays(*(one.to(device) for one in begun.rays)), begun.tokens.to(device))
