"""Put another adapter in the place of one, while the base stays in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.beside import check_unmerged
from mfl_adapt.adapter.layers import TakenOut
from mfl_adapt.adapter.load import load
from mfl_adapt.adapter.stack import get_adapters, stack_of
from mfl_adapt.plugin.registry import PluginHost


def swap(
    adapter: AttachedAdapter,
    folder: Path,
    *,
    strength: float | None = None,
    trainable: bool = False,
    host: PluginHost | None = None,
    force: bool = False,
) -> AttachedAdapter:
    """Replace an adapter by a saved one, which takes its name and its place among others.

    The new one may have another rank, other layers or another method. It is checked as by
    ``load``; if it is refused, the old one is in its place as if nothing had happened.

    Args:
        adapter: An attached adapter, of no use afterwards.
        folder: Folder of the new one.
        strength: Of the new one; None is that of the old one.
        trainable: Whether the new one's parameters get gradients.
        host: The run's plugins, as for ``load``.
        force: Use it although its passport does not fit, as for ``load``.

    Returns:
        The new adapter.

    Raises:
        AdapterError: If the old one was removed, an adapter is merged, or ``load`` refuses the
            new one.
        RangeError: If the strength is negative or not finite.
        ConfigError: If the plugin of the new one does not take the settings it was made with.
    """
    base, strength = adapter.base, adapter.strength if strength is None else strength
    check_unmerged(base)
    order = list(get_adapters(base))
    taken = adapter.take_off()
    with ExitStack() as undo:
        undo.callback(_put_back, adapter, taken, order)
        new = load(
            base,
            folder,
            name=adapter.name,
            strength=strength,
            trainable=trainable,
            host=host,
            force=force,
        )
        undo.pop_all()
    stack_of(base.module).arrange(base.module, order)
    return new


def _put_back(adapter: AttachedAdapter, taken: TakenOut, order: list[str]) -> None:
    adapter.put_on(taken)
    stack_of(adapter.base.module).arrange(adapter.base.module, order)
