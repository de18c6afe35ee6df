"""What every measure demands of its pictures, and the precision it works in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mfl_adapt.checks import check_shape


def check_pictures(where: str, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
    """Raise unless pictures and mask show the same views at the same size.

    Nothing is ever broadcast: a mask of one view does not stand for all of them.

    Args:
        where: Name of the measure, for the message.
        pred: Rendered colour, [B, V, 3, H, W].
        target: Photographed colour, same shape.
        mask: [B, V, 1, H, W].

    Raises:
        ShapeError: If one of the shapes differs; the message names the tensor.
    """
    free = [None, None, 3, None, None]
    check_shape(f"{where}: pred", pred, free, hint=_hint(pred, "It is [B, V, 3, H, W]."))
    batch, views, _, height, width = pred.shape
    check_shape(
        f"{where}: target",
        target,
        list(pred.shape),
        hint=_hint(target, "Target and pred must have one shape."),
    )
    if mask is not None:
        expected = [batch, views, 1, height, width]
        check_shape(f"{where}: mask", mask, expected, hint="One channel for each view of pred.")


def _hint(picture: Tensor, otherwise: str) -> str:
    """Recognise channels-last pictures, the commonest mistake."""
    channels_last = picture.ndim == 5 and picture.shape[-1] == 3 and picture.shape[2] != 3
    return "Move channels before height." if channels_last else otherwise


@contextmanager
def full_precision(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Switch autocast off and hand the tensors over in float32, or float64 if one of them is.

    Half precision is not enough for sums over a picture, and makes variances negative: SSIM of
    two flat areas came out above 2 in bfloat16.

    Args:
        tensors: On one device, of any floating type.

    Yields:
        The same tensors, still part of the graph.
    """
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = torch.float64 if wide else torch.float32
    with torch.autocast(tensors[0].device.type, enabled=False):
        yield tuple(tensor.to(dtype) for tensor in tensors)
