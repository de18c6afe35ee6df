"""One step of a network that makes Gaussians, with the memory of its tensors counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.models.gslrm.patches import to_images
from mfl_adapt.plugin import Loss, LossContext
from mfl_adapt.train.planning.counter import LiveMemory
from mfl_adapt.train.planning.setting import DTYPES, Setting
from mfl_adapt.train.planning.stand_ins import Draw
from mfl_adapt.types import Cameras, Gaussians, RigContract, ViewBatch


class Term(NamedTuple):
    """A loss with its weight.

    Attributes:
        name: As the user typed it.
        weight: Factor.
        loss: Returns [B, V].
    """

    name: str
    weight: float
    loss: Loss


@dataclass(frozen=True, slots=True)
class Counted:
    """Bytes of tensors in one step, without weights and the optimizer's moments.

    Attributes:
        saved: What the network saved for its backward pass, each storage once.
        network: All that is there after the network, pictures and results included.
        drawn: The same after the rasterizer.
        compared: The same after the losses.
        peak: Most that there was at any time.
    """

    saved: int
    network: int
    drawn: int
    compared: int
    peak: int


def count_step(
    module: GSLRM,
    inputs: ViewBatch,
    targets: ViewBatch,
    draw: Draw,
    terms: Sequence[Term],
    contract: RigContract,
    precision: str,
) -> Counted:
    """Take a batch forward and backward, and count.

    Args:
        module: In training mode, with an adapter, as ``fast_training`` sets it up. Its gradients
            are deleted afterwards.
        inputs: What the network sees; with or without content.
        targets: What its results are compared with.
        draw: Rasterizer, or one that stands in for it.
        terms: Losses.
        contract: Of the base.
        precision: Number format of the network.
    """
    views = (inputs.rgb, inputs.mask, targets.rgb, targets.mask)
    half = DTYPES[precision]
    cameras = [one for part in (inputs, targets) for one in _numbers(part.cameras)]
    memory = LiveMemory(known=[*module.parameters(), *module.buffers(), *views, *cameras])
    batch = sum(one.untyped_storage().nbytes() for one in views)
    with memory, memory.saving():
        with torch.autocast("cpu", half, enabled=half is not torch.float32):
            gaussians = module(inputs.rgb, inputs.cameras).activate()
        saved, network = memory.saved, memory.live
        drawn = draw(gaussians, targets.cameras, contract.background)
        after_drawing = memory.live
        positions = _positions(gaussians, inputs, contract.patch)
        context = LossContext(
            contract, 0, gaussians, targets.cameras, drawn.alpha, inputs=inputs, positions=positions
        )
        total = torch.zeros(())
        for _, weight, loss in terms:
            total = total + weight * loss(drawn.rgb, targets.rgb, targets.mask, context).mean()
        compared = memory.live
        del gaussians, drawn, context, positions
        total.backward()
    for parameter in module.parameters():
        parameter.grad = None
    counted = (network, after_drawing, compared, memory.peak)
    return Counted(saved, *(one + batch for one in counted))


def _positions(gaussians: Gaussians, inputs: ViewBatch, patch: int) -> Tensor:
    """Positions of the pixels' Gaussians, as ``pixel_positions`` gives them to losses."""
    _, views, _, height, width = inputs.rgb.shape
    free = gaussians.means.shape[1] - views * height * width
    return to_images(gaussians.means[:, free:], views, height, width, patch)


def _numbers(cameras: Cameras) -> tuple[Tensor, Tensor]:
    return cameras.c2w, cameras.fxfycxcy


def blank_views(setting: Setting, count: int) -> ViewBatch:
    """Return pictures of that setting without a defined content."""
    shape = (setting.at_once, count)
    cameras = Cameras(
        torch.empty(*shape, 4, 4), torch.empty(*shape, 4), height=setting.size, width=setting.size
    )
    size = (setting.size, setting.size)
    return ViewBatch(torch.empty(*shape, 3, *size), torch.empty(*shape, 1, *size), cameras)
