"""Whether one more adapter may be put on a base beside those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft import PeftConfig

from mfl_adapt.adapter.extra import installed_extra
from mfl_adapt.adapter.layers import adapter_layers
from mfl_adapt.adapter.stack import find_stack, get_adapters
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base

if TYPE_CHECKING:
    from mfl_adapt.adapter.attached import AttachedAdapter


def check_room(base: Base, config: PeftConfig | None, name: str, *, has_extra: bool) -> None:
    """Raise unless one more adapter may be put on a base.

    Args:
        base: Adapted or not.
        config: peft's settings of the new one; None if it changes no layer.
        name: Of the new one.
        has_extra: Whether it has a network of its own.

    Raises:
        AdapterError: If the name is taken, an adapter is merged, the methods cannot stand in one
            layer, both have a network of their own, or the network has layers of peft's that
            this package did not put there.
    """
    check_unmerged(base)
    present = get_adapters(base)
    if name in present:
        raise AdapterError(
            f"adapter {name}: expected a name that no adapter on {base.id} has, got one that is "
            f"taken. Take another name, or swap_adapter() or remove() the one there."
        )
    if has_extra and installed_extra(base.module) is not None:
        raise AdapterError(
            f"{base.id}: expected at most one adapter with a network of its own, got a second "
            f"one, {name}. Call remove() of the first, or swap_adapter()."
        )
    for other in present.values():
        if config is not None and other.config is not None:
            _check_same_method(base, config, name, other)


def check_unmerged(base: Base) -> None:
    """Raise if the base's weights hold a merged adapter, or layers that somebody else put in.

    Raises:
        AdapterError: If so.
    """
    stack = find_stack(base.module)
    if stack is None and adapter_layers(base.module):
        raise AdapterError(
            f"{base.id}: expected adapters that attach() or load_adapter() put there, got layers "
            "of another hand. Load the base anew."
        )
    if stack is not None and stack.merged:
        raise AdapterError(
            f"{base.id}: expected a base whose weights are its own, got one with "
            f"{', '.join(stack.merged)} merged. Call unmerge() first."
        )


def _check_same_method(base: Base, config: PeftConfig, name: str, other: AttachedAdapter) -> None:
    """Raise if two adapters cannot share layers.

    Raises:
        AdapterError: Naming both methods.
    """
    assert other.config is not None, "the caller looked"
    wanted, present = config.peft_type.value, other.config.peft_type.value
    if wanted != present:
        which = "it" if present == "LORA" else "both"
        raise AdapterError(
            f"adapter {name}: expected the method {present}, as adapter {other.name} on {base.id} "
            f"has it, got {wanted}. Make a LoRA of {which} with 'mfl-adapt adapter resize', or "
            f"call remove() of {other.name} first."
        )
    fed, found = (_fed_forward(one) for one in (config, other.config))
    if fed != found:
        # A layer of peft's IA3 knows for itself, and not for each adapter, what it multiplies.
        raise AdapterError(
            f"adapter {name}: expected feedforward_modules {found}, as adapter {other.name} on "
            f"{base.id} has them, got {fed}. Call remove() of that one first."
        )


def _fed_forward(config: PeftConfig) -> Any:
    modules = getattr(config, "feedforward_modules", None)
    return modules if modules is None or isinstance(modules, str) else sorted(modules)
