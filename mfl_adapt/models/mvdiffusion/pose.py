"""Cameras as a condition of the denoiser: where the pose module of an adapter comes in.

The denoiser itself never sees a camera. A pose module turns cameras into two terms, one on the
latents after ``conv_in`` and one on the embedding of the picture, which every block adds to the
embedding of the time. Both are added from outside, by hooks that live as long as one call, so that
no weight of the network has another name and no block another input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

from mfl_adapt.cameras.slots import assign_slots, turn_to_front
from mfl_adapt.checks import check_finite, check_shape
from mfl_adapt.errors import AdapterError, DataError, ShapeError
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from mfl_adapt.models.mvdiffusion.unet import MVUNet
    from mfl_adapt.types import Float

PromptChoice = Literal["neutral", "nearest"]
"""Rows for a rig that is not the six slots: the mean of all rows for each view, or the row of the
slot that is nearest to the view."""


class PoseModule(Protocol):
    """What an adapter puts into the slot ``pose`` of the denoiser; a ``torch.nn.Module``.

    Attributes:
        strength: Factor on both terms; at 0 the module is not called.
        prompts: Which rows it was trained with.
    """

    strength: float
    prompts: PromptChoice

    def __call__(
        self, cameras: Cameras, *, height: int, width: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return what to add for cameras [B, V] and latents of this size.

        Returns:
            To the output of ``conv_in``, [B * V, C, height, width], and to the embedding of the
            picture, [B * V, E]; None adds nothing.
        """
        ...


@contextmanager
def adding_pose(unet: MVUNet, cameras: Cameras | None, sample: Tensor) -> Iterator[None]:
    """Add the terms of the network's pose module to what it computes in a ``with`` block.

    Args:
        unet: The denoiser.
        cameras: One per item, [N]; None for none.
        sample: The network's input, [N, 8, h, w].

    Raises:
        AdapterError: If there are cameras and no pose module, or the other way round.
        ShapeError: If there is not one camera per item.
    """
    handles = []
    pose = find_pose(unet, cameras)
    if pose is not None and cameras is not None:
        check_shape("unet: cameras", cameras.c2w, (len(sample), 4, 4))
        by_object = cameras[torch.arange(len(sample)).unflatten(0, (-1, unet.num_views))]
        terms = pose(by_object, height=sample.shape[-2], width=sample.shape[-1])
        for layer, term in zip((unet.conv_in, unet.class_embedding), terms, strict=True):
            if term is not None:
                handles.append(layer.register_forward_hook(_adder(term)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def find_pose(unet: MVUNet, cameras: Cameras | None) -> PoseModule | None:
    """Return the pose module that has to act, if any.

    Raises:
        AdapterError: If there are cameras that nothing would look at, or a module that needs
            cameras and gets none.
    """
    pose: PoseModule | None = unet.pose
    if pose is None and cameras is not None:
        raise AdapterError(
            "cameras: expected a base with a pose adapter, got one that never sees a camera. "
            "Load an adapter of pose_mvdiffusion, or leave cameras out."
        )
    if pose is None or pose.strength == 0:
        return None
    if cameras is None:
        raise AdapterError(
            "cameras: expected one per view, as the base has a pose adapter, got none. "
            "Give cameras, set adapter.strength to 0, or remove the adapter."
        )
    return pose


def flatten_cameras(cameras: Cameras, items: int, views: int, device: torch.device) -> Cameras:
    """Return one camera per item as tensors, [N], float32.

    Args:
        cameras: Of one rig that all objects share, [V], or of every object, [B, V].
        items: N, a multiple of the views.
        views: Per object, V.
        device: Of the result.

    Raises:
        ShapeError: If there are other numbers of them.
        RangeError: If a number is not finite.
    """
    objects = items // views
    if cameras.shape not in {(views,), (objects, views)}:
        raise ShapeError(
            f"cameras: expected [{views}] for one rig or [{objects}, {views}] for every object, "
            f"got {list(cameras.shape)}. Give one camera per view, view 0 first."
        )
    flat = []
    for name in ("c2w", "fxfycxcy"):
        values = torch.as_tensor(getattr(cameras, name)).to(device, torch.float32)
        check_finite(f"cameras.{name}", values)
        inner = values.shape[len(cameras.shape) :]
        flat.append(values.expand(objects, views, *inner).flatten(0, 1))
    return Cameras(flat[0], flat[1], height=cameras.height, width=cameras.width)


def join_cameras(first: Cameras, second: Cameras) -> Cameras:
    """Return the cameras of two batches, one after the other."""
    return Cameras(
        torch.cat([first.c2w, second.c2w]),
        torch.cat([first.fxfycxcy, second.fxfycxcy]),
        height=first.height,
        width=first.width,
    )


def pick_prompts(
    cameras: Cameras, prompt_embeds: Tensor, slots_deg: tuple[float, ...], choice: PromptChoice
) -> Tensor:
    """Return one row per view of a rig that need not be the slots.

    Args:
        cameras: [V] or [B, V], numpy or torch, world +z up, subject at the origin. Each rig is
            turned about +z until its view 0 stands at slot 0.
        prompt_embeds: One row per slot, [slots, tokens, D].
        slots_deg: World azimuth of each slot.
        choice: ``neutral`` or ``nearest``.

    Returns:
        [V, tokens, D] or [B * V, tokens, D].

    Raises:
        DataError: If the base has no slots, or the rig no front to turn to.
        ShapeError: If the cameras have other axes.
        RangeError: If a camera centre is not finite.
    """
    if len(cameras.shape) not in {1, 2}:
        raise ShapeError(f"cameras: expected [V] or [B, V], got {list(cameras.shape)}.")
    if choice == "neutral":
        count = cameras.c2w[..., 0, 0].shape
        mean = prompt_embeds.float().mean(dim=0).to(prompt_embeds.dtype)
        return mean.expand(int(torch.Size(count).numel()), *mean.shape)
    if len(slots_deg) != len(prompt_embeds):
        raise DataError(
            f"prompts: expected a base whose {len(prompt_embeds)} views have slots, got "
            f"{len(slots_deg)} slots. Use neutral prompts."
        )
    centers = torch.as_tensor(cameras.centers).double().cpu().reshape(-1, cameras.shape[-1], 3)
    rows = [_nearest_slots(rig.numpy(), slots_deg) for rig in centers]
    return prompt_embeds[torch.tensor(rows, device=prompt_embeds.device).flatten()]


def _nearest_slots(centers: Float, slots_deg: tuple[float, ...]) -> list[int]:
    """Slot of each of the camera centres [V, 3] of a rig."""
    turn = turn_to_front(centers[0], slots_deg)
    return [assign_slots(one[None], slots_deg, turn_deg=turn).slots[0] for one in centers]


def _adder(term: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + term.to(output.dtype)

    return add
