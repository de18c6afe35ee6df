"""Small bases to try adapters on, and one fixed question to ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfl_adapt.plugin.specs import Probed

if TYPE_CHECKING:
    from torch import Tensor

    from mfl_adapt.plugin import Base

SMALL_BASES = ("facelift.tiny", "facelift.tiny_views")
"""Bases that ship with the package; an adapter must fit one of them to be tried."""


def answer(base: Base) -> Tensor | None:
    """Return what a network makes of a fixed input, as one vector; None if it cannot be asked."""
    import torch

    if isinstance(base, Probed):
        return base.probe().detach().float().cpu().flatten().clone()
    if not hasattr(base, "reconstruct"):
        return None
    with torch.no_grad():
        made = base.reconstruct(*question(base))
    parts = (made.means, made.quats, made.scales, made.opacities, made.sh)
    return torch.cat([part.detach().float().cpu().flatten() for part in parts])


def asked(base: Base) -> Tensor:
    """Return the answer of a base that has one."""
    found = answer(base)
    assert found is not None
    return found


def question(base: Any) -> tuple[Tensor, Any]:
    """Two pictures of noise, and the cameras of a ring, as a reconstructor takes them."""
    import torch

    from mfl_adapt.cameras import facelift_ring
    from mfl_adapt.types import Cameras

    size = base.contract.size
    rig = facelift_ring(2, size=size)
    rgb = torch.rand(1, 2, 3, size, size, generator=torch.Generator().manual_seed(1))
    c2w, fxfycxcy = (
        torch.tensor(one, dtype=torch.float32)[None] for one in (rig.c2w, rig.fxfycxcy)
    )
    return rgb, Cameras(c2w, fxfycxcy, height=size, width=size)
