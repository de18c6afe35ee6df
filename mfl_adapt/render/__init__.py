"""Differentiable drawing of 3D Gaussians: gsplat on CUDA, numba on the CPU, torch as reference.

``mfl_adapt.render`` is this package and, as users write ``mfl.render(gaussians, cameras)``, also
the function: the package can be called.
"""

import sys
from types import ModuleType
from typing import Any

from mfl_adapt.render.backend import Backend, render


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw; see ``mfl_adapt.render.render``."""
        return render(*args, **kwargs)


# Importing any module of this package binds its name in ``mfl_adapt`` to the package, over
# whatever stood there; so the package itself must be what the user may call.
sys.modules[__name__].__class__ = _CallablePackage

__all__ = ["Backend", "render"]
