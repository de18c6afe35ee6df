"""Gaussians as a .splat file, 32 bytes each, the form of antimatter15's viewer.

There is no header. Colours and opacities have 8 bits, rotations 8 bits per component, and the
Gaussians that cover most come first, so that a viewer can show a file that is still loading.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mfl_adapt.files import write_atomically
from mfl_adapt.types import Gaussians

from .config import SplatConfig
from .paths import check_suffix
from .raw import (
    RawGaussians,
    check_raw,
    check_some,
    to_colours,
    to_opacities,
    to_raw,
    to_unit_quats,
)

RECORD = np.dtype([
    ("position", "<f4", 3),
    ("scale", "<f4", 3),
    ("rgba", "u1", 4),
    ("rotation", "u1", 4),
])
_WHERE = "exporters.splat"
_log = logging.getLogger(__name__)


class Splat:
    """The component ``exporters.splat``."""

    def __init__(self, config: SplatConfig) -> None:
        self.config = config

    def __call__(self, gaussians: Gaussians, path: Path) -> None:
        """Write the first item of the batch, whole or not at all.

        The format holds one colour per Gaussian. What depends on the direction is left out, and
        a warning says so.

        Args:
            gaussians: Activated values, [B, N, ...].
            path: File to write, ending in ``.splat``.

        Raises:
            RangeError: If the path has another ending, there is no Gaussian, or a value is not
                finite.
            ShapeError: If the spherical harmonics are not of degree 0 to 3.
            StorageError: If the file cannot be written.
        """
        path = Path(path)
        check_suffix(_WHERE, path, ".splat")
        content = encode_splat(to_raw(gaussians, _WHERE))
        coefficients = gaussians.sh.shape[2]
        if coefficients > 1:
            _log.warning(
                "%s: left out %d of %d spherical-harmonic coefficients, as the format holds one "
                "colour per Gaussian; write .ply to keep them.",
                _WHERE,
                coefficients - 1,
                coefficients,
            )
        write_atomically(path, content)


def encode_splat(raw: RawGaussians) -> bytes:
    """Return the whole file: 32 N bytes, by volume times opacity from the greatest down.

    Args:
        raw: N Gaussians before activation.

    Raises:
        ShapeError: If the arrays do not belong together, or K is not 1, 4, 9 or 16.
        RangeError: If there is no Gaussian, or a value is not finite.
    """
    check_raw(raw, _WHERE)
    check_some(raw, _WHERE)
    log_scales, opacities = raw.log_scales.astype(np.float64), to_opacities(raw)
    # Compared as logarithms, where the smallest scales do not all become 0.
    importance = log_scales.sum(axis=1) + np.log(opacities)
    rgba = np.concatenate([to_colours(raw), opacities[:, None]], axis=1)
    splats = np.zeros(len(raw.means), RECORD)
    splats["position"] = raw.means
    splats["scale"] = np.exp(log_scales)
    splats["rgba"] = np.rint(np.clip(rgba, 0, 1) * 255)
    splats["rotation"] = np.clip(np.rint(to_unit_quats(raw, _WHERE) * 128 + 128), 0, 255)
    return splats[np.argsort(-importance, kind="stable")].tobytes()
