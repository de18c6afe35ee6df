"""Masks: how much they cover and whether the frame cuts them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.images import measure_foreground
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import View

from .config import ExposureConfig, MaskShareConfig, NoConfig
from .facts import place, sample_and_contract

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

_INSIDE = 127


class MaskShare:
    """Law and warning MFL032: the mask holds the subject, not nothing and not everything."""

    def __init__(self, config: MaskShareConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            share = 0.0 if view.mask is None else measure_foreground(view.mask).share
            finding = self._judge(share, place(sample, view))
            if finding:
                yield finding

    def _judge(self, share: float, where: str) -> Finding | None:
        config = self._config
        if config.warn_below <= share <= config.warn_above:
            return None
        broken = share == 0.0 or share > config.law_above
        return Finding(
            code="MFL032",
            severity="law" if broken else "warning",
            where=where,
            value=f"mask covers {100 * share:.2f} % of the picture",
            expected=f"{100 * config.warn_below:g} to {100 * config.warn_above:g} %",
            remedy="Make the mask again: it is empty, or holds the background."
            if broken
            else "Look at the picture: the subject may be far away, or the mask hold more than it.",
            excess=config.warn_below - share if share < config.warn_below else share,
        )


class BorderContact:
    """Warning MFL016: the frame does not cut the subject, except where that is the habit."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: the contract says which edges may cut."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, contract = sample_and_contract(facts)
        for view in sample.views:
            touched = _contact(view, contract.cut_edges)
            if touched:
                worst = max(touched.values())
                allowed = ", ".join(contract.cut_edges) or "none"
                yield Finding(
                    code="MFL016",
                    severity="warning",
                    where=place(sample, view),
                    value=", ".join(f"{count} px on {edge}" for edge, count in touched.items()),
                    expected=f"0 px (edges that may cut: {allowed})",
                    remedy="Use a wider crop or a smaller scale, so that the whole subject is in "
                    "the picture.",
                    excess=worst / view.width,
                )


class Exposure:
    """Warning MFL058: the subject has colours, not only black and white.

    A picture of 16 bits clipped to 8 is white, and one whose sensor filled only the low 12 of 16
    bits is black but for a few levels.
    """

    def __init__(self, config: ExposureConfig) -> None:
        """Take the threshold."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            colours = _colours(view)
            if not len(colours):
                continue
            share, brightest = _clipped(colours), _brightest(colours)
            if share <= self._config.warn_above and brightest < self._config.least_brightest:
                yield Finding(
                    code="MFL058",
                    severity="warning",
                    where=place(sample, view),
                    value=f"the brightest parts of the subject have level {brightest:.1f} of 255",
                    expected=f"at least {self._config.least_brightest:g}",
                    remedy="Check whether 10 or 12 bits lie in the low bits of a 16-bit file; "
                    "multiply them up to the full range before anything reads it.",
                    excess=self._config.least_brightest - brightest,
                )
            if share > self._config.warn_above:
                yield Finding(
                    code="MFL058",
                    severity="warning",
                    where=place(sample, view),
                    value=f"{100 * share:.1f} % of the subject is pure white or pure black",
                    expected=f"at most {100 * self._config.warn_above:g} %",
                    remedy="Check how the picture was decoded (16 bits taken for 8) and exposed.",
                    excess=share,
                )


def _colours(view: View) -> "Bytes":
    """Colours of the masked pixels, [P, 3]; none without a mask."""
    if view.mask is None:
        return np.empty((0, 3), np.uint8)
    colours: Bytes = view.rgb[view.mask > _INSIDE]
    return colours


def _clipped(colours: "Bytes") -> float:
    """Share of the colours whose channels all are at one end of their range."""
    full = np.iinfo(colours.dtype).max
    return float(((colours == 0).all(axis=1) | (colours == full).all(axis=1)).mean())


def _brightest(colours: "Bytes") -> float:
    """Level, from 0 to 255, that the brightest hundredth of the colours reaches."""
    full = np.iinfo(colours.dtype).max
    return float(np.percentile(colours.max(axis=1), 99)) * 255.0 / full


def _contact(view: View, allowed: tuple[str, ...]) -> dict[str, int]:
    if view.mask is None:
        return {}
    border = measure_foreground(view.mask).border_px
    return {edge: count for edge, count in border.items() if count and edge not in allowed}
