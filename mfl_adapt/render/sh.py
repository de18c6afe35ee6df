"""Colours from spherical harmonics, in the sign convention of 3D Gaussian splatting."""

import math

import torch
from torch import Tensor

from mfl_adapt.errors import ShapeError

_C0 = math.sqrt(1 / math.pi) / 2
_C1 = math.sqrt(3 / (4 * math.pi))
_C2 = (math.sqrt(15 / math.pi) / 2, math.sqrt(5 / math.pi) / 4, math.sqrt(15 / math.pi) / 4)
_C3 = (
    math.sqrt(35 / (2 * math.pi)) / 4,
    math.sqrt(105 / math.pi) / 2,
    math.sqrt(21 / (2 * math.pi)) / 4,
    math.sqrt(7 / math.pi) / 4,
    math.sqrt(105 / math.pi) / 4,
)
_COUNTS = (1, 4, 9, 16)


def colors_from_sh(sh: Tensor, means: Tensor, centers: Tensor) -> Tensor:
    """Colours of one scene, ``max(0, 0.5 + sum of harmonics)``.

    Args:
        sh: Coefficients, [N, K, 3] with K = 1, 4, 9 or 16.
        means: World positions, [N, 3].
        centers: Camera centres in the world, [V, 3].

    Returns:
        [1, N, 3] for K = 1, where the colour is the same from everywhere, else [V, N, 3].

    Raises:
        ShapeError: If K is not the count of a degree from 0 to 3.
    """
    if sh.shape[1] not in _COUNTS:
        raise ShapeError(
            f"render: expected 1, 4, 9 or 16 SH coefficients (degree 0 to 3), got {sh.shape[1]} "
            f"in sh {list(sh.shape)}. Cut or pad sh along its third axis from the end."
        )
    if sh.shape[1] == 1:
        return (_C0 * sh[None, :, 0] + 0.5).clamp_min(0)
    directions = torch.nn.functional.normalize(means - centers[:, None], dim=-1)
    basis = _basis(directions, sh.shape[1])
    return (torch.einsum("vnk,nkc->vnc", basis, sh) + 0.5).clamp_min(0)


def _basis(directions: Tensor, count: int) -> Tensor:
    """The first ``count`` real harmonics of unit directions [..., 3], as [..., count]."""
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    terms = [torch.full_like(x, _C0), -_C1 * y, _C1 * z, -_C1 * x]
    if count > 4:
        terms += [_C2[0] * x * y, -_C2[0] * y * z, _C2[1] * (2 * zz - xx - yy)]
        terms += [-_C2[0] * x * z, _C2[2] * (xx - yy)]
    if count > 9:
        terms += [-_C3[0] * y * (3 * xx - yy), _C3[1] * x * y * z]
        terms += [-_C3[2] * y * (4 * zz - xx - yy), _C3[3] * z * (2 * zz - 3 * xx - 3 * yy)]
        terms += [-_C3[2] * x * (4 * zz - xx - yy), _C3[4] * z * (xx - yy)]
        terms += [-_C3[0] * x * (xx - 3 * yy)]
    return torch.stack(terms, dim=-1)
