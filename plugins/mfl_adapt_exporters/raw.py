"""Gaussians before activation, as files hold them, and the checks that all formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.types import Gaussians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

SH_C0 = 0.28209479177387814
COUNTS = (1, 4, 9, 16)
"""Spherical-harmonic coefficients per colour of degree 0 to 3."""


class RawGaussians(NamedTuple):
    """Gaussians before activation, as the file holds them; all float32.

    Attributes:
        means: World positions, [N, 3].
        sh: Spherical-harmonic coefficients, [N, K, 3], K = 1, 4, 9 or 16.
        opacity_logits: [N].
        log_scales: [N, 3].
        quats: Quaternions w, x, y, z of any length, [N, 4].
    """

    means: Float32
    sh: Float32
    opacity_logits: Float32
    log_scales: Float32
    quats: Float32


def to_raw(gaussians: Gaussians, where: str = "exporters.ply") -> RawGaussians:
    """Undo the activations of the first item of a batch.

    Opacities of exactly 0 and 1, whose logit is infinite, move by 1e-7; scales of 0 become the
    smallest float32.

    Args:
        gaussians: Activated values, [B, N, ...], torch or numpy.
        where: The exporter, for messages.

    Returns:
        What the file holds.

    Raises:
        RangeError: If opacities are not in [0, 1], or scales negative or not finite.
    """
    means, quats, scales, opacities, sh = (
        np.asarray(tensor[0].detach().cpu(), dtype=np.float64)
        for tensor in (
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            gaussians.sh,
        )
    )
    for name, values, top in (("opacities", opacities, 1.0), ("scales", scales, np.inf)):
        place = f"{where}: {name}"
        check_finite(place, values, hint="Check the adapter and its base.")
        for extreme in (values.min(initial=0.0), values.max(initial=0.0)):
            check_range(place, extreme, 0.0, top, hint="Give activated values.")
    opacities = np.clip(opacities, 1e-7, 1 - 1e-7)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    logits = np.log(opacities) - np.log1p(-opacities)
    raw = (means, sh, logits, np.log(scales), quats)
    return RawGaussians(*(values.astype(np.float32) for values in raw))


def check_raw(raw: RawGaussians, where: str) -> None:
    """Hold the arrays together.

    Raises:
        ShapeError: If they do not belong together, or K is not the count of a degree.
        RangeError: If a value is not finite.
    """
    count = len(raw.means)
    expected: dict[str, list[int | None]] = {
        "means": [count, 3],
        "sh": [count, None, 3],
        "opacity_logits": [count],
        "log_scales": [count, 3],
        "quats": [count, 4],
    }
    for name, values in raw._asdict().items():
        check_shape(f"{where}: {name}", values, expected[name])
        check_finite(f"{where}: {name}", values, hint="Check the adapter and its base.")
    if raw.sh.shape[1] not in COUNTS:
        raise ShapeError(
            f"{where}: expected 1, 4, 9 or 16 spherical-harmonic coefficients per colour, "
            f"got {raw.sh.shape[1]}. Leave out those above degree 3."
        )


def check_some(raw: RawGaussians, where: str) -> None:
    """Raise if there is nothing to show, which viewers of this format cannot open.

    Raises:
        RangeError: If there is no Gaussian.
    """
    if len(raw.means) == 0:
        raise RangeError(
            f"{where}: expected at least one Gaussian, got none. Filter less, or look at the "
            f"pictures that went in."
        )


def to_colours(raw: RawGaussians) -> NDArray[np.float64]:
    """Colours without the part that depends on the direction, [N, 3]; not clamped."""
    return 0.5 + SH_C0 * raw.sh[:, 0].astype(np.float64)


def to_opacities(raw: RawGaussians) -> NDArray[np.float64]:
    """Opacities in (0, 1), [N]."""
    return 1.0 / (1.0 + np.exp(-raw.opacity_logits.astype(np.float64)))


def to_unit_quats(raw: RawGaussians, where: str) -> NDArray[np.float64]:
    """Quaternions of length 1, [N, 4].

    Raises:
        RangeError: If one has length 0.
    """
    quats = raw.quats.astype(np.float64)
    length = np.linalg.norm(quats, axis=1, keepdims=True)
    empty = int((length == 0).sum())
    if empty:
        raise RangeError(
            f"{where}: quats: expected rotations of a length above 0, got {empty} of length 0. "
            f"Check the adapter and its base."
        )
    return quats / length
