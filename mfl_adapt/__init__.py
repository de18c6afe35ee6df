"""Adapters that fit frozen FaceLift models to new species.

    import mfl_adapt as mfl

    base = mfl.load_base("facelift.tiny")
    adapter = mfl.load_adapter(base, "runs/quickstart/adapter")
    gaussians = base.reconstruct(rgb, cameras)
    images = mfl.render(gaussians, cameras)

The names are imported at first use, so that ``import mfl_adapt`` loads neither torch nor OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from mfl_adapt.adapter.load import load as load_adapter
    from mfl_adapt.adapter.stack import get_adapters, set_adapters
    from mfl_adapt.adapter.swap import swap as swap_adapter
    from mfl_adapt.pipeline import load_base
    from mfl_adapt.render import render
    from mfl_adapt.types import Cameras, Gaussians

_LAZY = {
    "Cameras": ("mfl_adapt.types", "Cameras"),
    "Gaussians": ("mfl_adapt.types", "Gaussians"),
    "get_adapters": ("mfl_adapt.adapter", "get_adapters"),
    "load_adapter": ("mfl_adapt.adapter", "load"),
    "load_base": ("mfl_adapt.pipeline", "load_base"),
    "render": ("mfl_adapt.render.backend", "render"),
    "set_adapters": ("mfl_adapt.adapter", "set_adapters"),
    "swap_adapter": ("mfl_adapt.adapter", "swap"),
}

__all__ = [
    "Cameras",
    "Gaussians",
    "__version__",
    "get_adapters",
    "load_adapter",
    "load_base",
    "render",
    "set_adapters",
    "swap_adapter",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
