"""Adapters on frozen bases: attach, train, save with a passport, load where they belong.

The names are imported at first use, so that a folder can be inspected without torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfl_adapt.adapter.attach import attach
    from mfl_adapt.adapter.attached import AttachedAdapter
    from mfl_adapt.adapter.choice import AdapterChoice, load_several, read_choice
    from mfl_adapt.adapter.digest import digest_tensors
    from mfl_adapt.adapter.effect import Effect, check_merge, measure_effect, prove
    from mfl_adapt.adapter.frozen import (
        adapter_parameters,
        base_digest,
        base_tensors,
        check_frozen,
        freeze_base,
    )
    from mfl_adapt.adapter.header import AdapterHeader, TensorEntry, read_header
    from mfl_adapt.adapter.load import StoredAdapter, load, read_adapter
    from mfl_adapt.adapter.save import save
    from mfl_adapt.adapter.stack import (
        AllAdapters,
        Switchable,
        alone,
        bare,
        get_adapters,
        set_adapters,
    )
    from mfl_adapt.adapter.swap import swap

_LAZY = {
    "AdapterChoice": "choice",
    "AdapterHeader": "header",
    "AllAdapters": "stack",
    "AttachedAdapter": "attached",
    "Effect": "effect",
    "StoredAdapter": "load",
    "Switchable": "stack",
    "TensorEntry": "header",
    "adapter_parameters": "frozen",
    "alone": "stack",
    "attach": "attach",
    "bare": "stack",
    "base_digest": "frozen",
    "base_tensors": "frozen",
    "check_frozen": "frozen",
    "check_merge": "effect",
    "digest_tensors": "digest",
    "freeze_base": "frozen",
    "get_adapters": "stack",
    "load": "load",
    "load_several": "choice",
    "measure_effect": "effect",
    "prove": "effect",
    "read_adapter": "load",
    "read_choice": "choice",
    "read_header": "header",
    "save": "save",
    "set_adapters": "stack",
    "swap": "swap",
}
"""Public name to the module of this package that holds it."""

__all__ = [
    "AdapterChoice",
    "AdapterHeader",
    "AllAdapters",
    "AttachedAdapter",
    "Effect",
    "StoredAdapter",
    "Switchable",
    "TensorEntry",
    "adapter_parameters",
    "alone",
    "attach",
    "bare",
    "base_digest",
    "base_tensors",
    "check_frozen",
    "check_merge",
    "digest_tensors",
    "freeze_base",
    "get_adapters",
    "load",
    "load_several",
    "measure_effect",
    "prove",
    "read_adapter",
    "read_choice",
    "read_header",
    "save",
    "set_adapters",
    "swap",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


class _Package(ModuleType):
    """Keeps ``attach``, ``load`` and ``save`` the functions that they are.

    Python would put the modules of the same names in their place once these are imported.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but no module where a function is offered."""
        if not (name in _LAZY and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
