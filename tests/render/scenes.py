"""Small seeded scenes, each hard on a rasterizer in its own way."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Scene(NamedTuple):
    """The tensors of one scene, float64, in the order in which a rasterizer takes them."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    fxfycxcy: Tensor
    width: int
    height: int
    background: Tensor


def plain(n: int = 300, views: int = 2, width: int = 53, height: int = 37) -> Scene:
    """Odd picture size, off-centre principal point, unequal focal lengths, unnormalised quats."""
    g = torch.Generator().manual_seed(n)
    viewmats = torch.eye(4).repeat(views, 1, 1)
    for view in range(views):
        angle = torch.tensor(0.3 * view)
        viewmats[view, :3, :3] = torch.tensor([
            [angle.cos(), 0, angle.sin()],
            [0, 1, 0],
            [-angle.sin(), 0, angle.cos()],
        ])
        viewmats[view, :3, 3] = torch.tensor([0.05, -0.1 * view, 2.7])
    scene = Scene(
        means=0.5 * torch.randn(n, 3, generator=g),
        quats=torch.randn(n, 4, generator=g) * 2,
        scales=0.01 + 0.1 * torch.rand(n, 3, generator=g),
        opacities=0.05 + 0.9 * torch.rand(n, generator=g),
        colors=torch.rand(1, n, 3, generator=g),
        viewmats=viewmats,
        fxfycxcy=torch.tensor([60.0, 64.0, 0.55 * width, 0.45 * height]).repeat(views, 1),
        width=width,
        height=height,
        background=torch.rand(views, 3, generator=g),
    )
    # Rounded to float32, so that every backend sees the same numbers.
    return Scene(*(x.double() if isinstance(x, Tensor) else x for x in scene))


def _rounded(values: Tensor) -> Tensor:
    return values.float().double()


def behind() -> Scene:
    """Half of the Gaussians are behind or beside the camera; big ones meet the Jacobian's clamp."""
    scene = plain()
    means = scene.means * torch.tensor([3.0, 3.0, 4.0])
    return scene._replace(means=_rounded(means), scales=_rounded(3 * scene.scales))


def thin() -> Scene:
    """Needles: one axis a hundred times the others."""
    scene = plain()
    return scene._replace(scales=_rounded(scene.scales * torch.tensor([3.0, 0.03, 0.02])))


def huge() -> Scene:
    """Gaussians larger than the picture."""
    scene = plain(n=60)
    return scene._replace(
        scales=_rounded(20 * scene.scales), opacities=_rounded(0.2 * scene.opacities)
    )


def opaque() -> Scene:
    """Opacities at and above the greatest alpha, and just above the least."""
    scene = plain()
    opacities = scene.opacities.clone()
    opacities[0::4], opacities[1::4], opacities[2::4] = 1.0, 0.9995, 0.00394
    return scene._replace(opacities=_rounded(opacities))


def ties() -> Scene:
    """All depths equal in both views, so that the index of the Gaussian decides."""
    scene = plain()
    means = scene.means.clone()
    means[:, 2] = 0.25
    viewmats = scene.viewmats.clone()
    viewmats[:, :3, :3] = torch.eye(3)
    return scene._replace(means=means, viewmats=viewmats)


def invisible() -> Scene:
    """Nothing in sight."""
    scene = plain(n=20)
    return scene._replace(means=scene.means - torch.tensor([0.0, 0.0, 50.0]))


def single() -> Scene:
    """One Gaussian in the middle."""
    scene = plain(n=1)
    return scene._replace(means=torch.zeros(1, 3).double())


def empty() -> Scene:
    """No Gaussian at all."""
    scene = plain(n=1)
    none = [field[:0] for field in scene[:4]]
    return scene._replace(
        means=none[0], quats=none[1], scales=none[2], opacities=none[3], colors=scene.colors[:, :0]
    )


def colors_per_view() -> Scene:
    """Every view has colours of its own."""
    scene = plain()
    return scene._replace(colors=torch.cat([scene.colors, 1 - scene.colors]))


def many() -> Scene:
    """Several chunks, batches and regions, and full pixels; too many for the dense renderer."""
    scene = plain(n=4500, views=2, width=70, height=40)
    return scene._replace(scales=_rounded(0.3 * scene.scales))


SCENES: tuple[Callable[[], Scene], ...] = (
    plain, behind, thin, huge, opaque, ties, invisible, single, empty, colors_per_view,
)  # fmt: skip
