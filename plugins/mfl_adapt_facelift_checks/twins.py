"""Whether a sample's cameras are as many as they seem."""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.plugin import Facts, Finding

from .config import TwinConfig
from .facts import place, sample_and_contract, usable_cameras


class Twins:
    """Law MFL037: no two views of a sample have one camera.

    A model that is told that six different pictures came from one place paints six billboards.
    Where the pictures are the same too, a view is there twice, and is held out from itself.
    """

    def __init__(self, config: TwinConfig) -> None:
        """Take the tolerance."""
        self._within = config.within

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare every view with those before it."""
        sample, _ = sample_and_contract(facts)
        if not usable_cameras(sample):
            return
        for number, view in enumerate(sample.views):
            for other in sample.views[:number]:
                apart = float(np.abs(view.c2w - other.c2w).max())
                distance = float(np.linalg.norm(view.c2w[:3, 3]))
                if apart > self._within * max(1.0, distance):
                    continue
                same = view.rgb.shape == other.rgb.shape and np.array_equal(view.rgb, other.rgb)
                yield Finding(
                    code="MFL037",
                    severity="law",
                    where=place(sample, view),
                    value=f"camera of {other.name}, with {'its' if same else 'another'} picture",
                    expected="one camera per view",
                    remedy="Delete the view that is there twice."
                    if same
                    else "Look where the poses are written: one was copied, or a list was read "
                    "without its index.",
                    excess=1.0,
                )
                break
