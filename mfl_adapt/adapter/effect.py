"""Proof that an adapter does something, and does the same when it is merged."""

from collections.abc import Callable

import torch
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.errors import AdapterError


def measure_effect(adapter: AttachedAdapter, run: Callable[[], Tensor]) -> float:
    """How much the adapter changes an output.

    Args:
        adapter: An attached adapter at the strength of interest.
        run: Computes some output of the base, the same way every time.

    Returns:
        Largest absolute difference between the output with and without the adapter.

    Raises:
        AdapterError: If there is no difference at all.
    """
    with torch.no_grad():
        adapted = run()
        with adapter.disabled():
            bare = run()
    effect = float((adapted - bare).abs().max())
    if not effect > 0:
        raise AdapterError(
            f"adapter {adapter.name}: expected an effect on the output, got a largest difference "
            f"of {effect:g} from the bare base. Train it, or raise its strength."
        )
    return effect


def check_merge(
    adapter: AttachedAdapter, run: Callable[[], Tensor], *, tolerance: float = 1e-5
) -> float:
    """Hold the merged network against the adapted one; the adapter is unmerged afterwards.

    Args:
        adapter: An attached adapter, not merged.
        run: Computes some output of the base, the same way every time.
        tolerance: Largest absolute difference that passes; the default suits float32.

    Returns:
        Largest absolute difference of the two outputs.

    Raises:
        AdapterError: If it is above the tolerance.
    """
    with torch.no_grad():
        apart = run()
        adapter.merge()
        try:
            merged = run()
        finally:
            adapter.unmerge()
    difference = float((merged - apart).abs().max())
    if not difference <= tolerance:
        raise AdapterError(
            f"adapter {adapter.name}: expected the merged network within {tolerance:g} of the "
            f"adapted one, got {difference:g}. Do not merge it; use it as it is."
        )
    return difference
