"""Intrinsics: principal point and pixel aspect."""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.plugin import Facts, Finding

from .config import FocalAspectConfig, NoConfig
from .facts import place, sample_and_contract


class PrincipalPoint:
    """Law MFL019: the principal point is the middle of the picture.

    The tolerance is the contract's, in pixels of a picture of the contract's size.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: the threshold is the contract's."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, contract = sample_and_contract(facts)
        for view in sample.views:
            offset = np.abs(view.fxfycxcy[2:] - np.array([view.width, view.height]) / 2).max()
            limit = contract.principal_point_px * view.width / contract.size
            if not offset <= limit:
                yield Finding(
                    code="MFL019",
                    severity="law",
                    where=place(sample, view),
                    value=f"principal point {offset:.2f} px off the middle",
                    expected=f"at most {limit:.2f} px",
                    remedy="Set a camera normalizer in data.cameras that resamples the picture; "
                    "never overwrite cx and cy.",
                    excess=float(offset / limit),
                )


class FocalAspect:
    """Warning MFL015: focal lengths along x and y agree, as they do for real lenses.

    Focal lengths that are not positive numbers are no camera, and break the law.
    """

    def __init__(self, config: FocalAspectConfig) -> None:
        """Take the tolerance."""
        self._tolerance = config.tolerance

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            fx, fy = view.fxfycxcy[:2]
            with np.errstate(divide="ignore", invalid="ignore"):
                error = abs(float(fx / fy) - 1.0)
            # Written so that NaN is a finding too.
            if not error <= self._tolerance:
                yield Finding(
                    code="MFL015",
                    severity="warning" if min(fx, fy) > 0 and np.isfinite(error) else "law",
                    where=place(sample, view),
                    value=f"fx = {fx:.6g}, fy = {fy:.6g}",
                    expected=f"fx / fy = 1 within {self._tolerance:g}",
                    remedy="Check whether the picture was stretched, or fx and fy scaled by "
                    "different factors than the picture.",
                    excess=error / self._tolerance if np.isfinite(error) else np.inf,
                )
