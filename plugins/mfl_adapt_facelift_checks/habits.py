"""Habits of the training data: information, never a failure.

Depth is decoded from the point of each ray nearest the origin, so neither the distance nor the
focal length of a camera is a law.
"""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.plugin import Facts, Finding

from .config import DistanceConfig, FocalLengthConfig
from .facts import place, sample_and_contract


class Distance:
    """Information MFL101: how far the cameras are from the origin."""

    def __init__(self, config: DistanceConfig) -> None:
        """Take the tolerance."""
        self._tolerance = config.tolerance

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, contract = sample_and_contract(facts)
        for view in sample.views:
            distance = float(np.linalg.norm(view.c2w[:3, 3]))
            error = abs(distance / contract.distance - 1.0)
            if error > self._tolerance:
                yield Finding(
                    code="MFL101",
                    severity="info",
                    where=place(sample, view),
                    value=f"distance {distance:.3f}",
                    expected=f"{contract.distance:g} within {100 * self._tolerance:g} %, by habit",
                    remedy="Nothing needs to be done; never move single cameras to reach it.",
                    excess=error / self._tolerance,
                )


class FocalLength:
    """Information MFL102: the focal length relative to the picture's width."""

    def __init__(self, config: FocalLengthConfig) -> None:
        """Take the tolerance."""
        self._tolerance = config.tolerance

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, contract = sample_and_contract(facts)
        for view in sample.views:
            ratio = float(view.fxfycxcy[0]) / view.width
            error = abs(ratio / contract.focal_ratio - 1.0)
            if error > self._tolerance:
                yield Finding(
                    code="MFL102",
                    severity="info",
                    where=place(sample, view),
                    value=f"fx = {ratio:.4f} x width",
                    expected=f"{contract.focal_ratio:g} x width within "
                    f"{100 * self._tolerance:g} %, by habit",
                    remedy="Nothing needs to be done; never overwrite fx without resampling.",
                    excess=error / self._tolerance,
                )
