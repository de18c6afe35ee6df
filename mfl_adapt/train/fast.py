"""What makes the steps of a run faster, and changes nothing but rounding."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mfl_adapt.adapter import AttachedAdapter
from mfl_adapt.adapter.fused import fused
from mfl_adapt.adapter.layers import adapter_layers
from mfl_adapt.errors import TrainingError
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.models.gslrm.prefix import Prefix, frozen_depth

log = logging.getLogger(__name__)

# Names of mallopt's settings in glibc's malloc.h, and the largest threshold that it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**25


@contextmanager
def fast_training(adapter: AttachedAdapter, *, checkpointing: bool = False) -> Iterator[None]:
    """Train an adapter faster inside a ``with`` block.

    Layers with plain LoRA become one operation each, and freed memory is kept. If the base makes
    Gaussians, what the frozen beginning of the network makes of an item is kept for the next time
    that its pictures come. A network that makes views has no such beginning: its first layer sees
    noise that is new in every step, and every later one the timestep. What the frozen networks
    before it make of the pictures is kept by ``encodings``.

    Args:
        adapter: Attached; what of the network is trained must not change inside the block.
        checkpointing: Save memory instead of time: recompute each block in the backward pass.

    Raises:
        TrainingError: If blocks cannot be recomputed, as the base makes no Gaussians.
    """
    module = adapter.base.module
    if not isinstance(module, GSLRM):
        if checkpointing:
            raise TrainingError(
                f"train.checkpointing: expected false for {adapter.base.id}, whose blocks cannot "
                "be computed again, got true. Use a smaller train.batch to save memory."
            )
        keep_freed_memory()
        with fused(module):
            yield
        return
    keep_freed_memory()
    before, module.checkpoint_blocks = module.checkpoint_blocks, checkpointing
    module.prefix = open_prefix(module, has_extra=adapter.extra is not None)
    try:
        with fused(module):
            yield
    finally:
        module.prefix, module.checkpoint_blocks = None, before


def open_prefix(module: nn.Module, *, has_extra: bool = False) -> Prefix | None:
    """Return what keeps the outputs of the layers before the first one that may change.

    Layers of peft count as such, trained or not, as their strength may be set.

    Args:
        module: Network, adapted or not.
        has_extra: Whether an adapter has a network of its own in it, which may act anywhere.

    Returns:
        None if there is no such beginning.
    """
    if has_extra or not isinstance(module, GSLRM):
        return None
    changing = {name for name, one in module.named_parameters() if one.requires_grad}
    changing |= set(adapter_layers(module))
    depth = frozen_depth(changing, len(module.transformer_layers))
    if depth is None:
        return None
    log.debug("prefix: the embedding and %d blocks are kept for each item", depth)
    return Prefix(depth)


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory for the next step instead of handing it back to the system.

    The system clears every page that it hands out; in a step of a small network that took up to
    a tenth of the time. It holds for the whole process.

    Returns:
        Whether there is a glibc that understood it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
