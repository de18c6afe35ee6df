"""Masks: how much they cover and whether the frame cuts them."""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.images import measure_foreground
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import View

from .config import ExposureConfig, MaskShareConfig, NoConfig
from .facts import place, sample_and_contract

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

    A picture of 16 bits read as one of 8 is clipped to white, or shows its low bytes.
    """

    def __init__(self, config: ExposureConfig) -> None:
        """Take the threshold."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            share = _clipped(view)
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


def _clipped(view: View) -> float:
    """Share of the masked pixels whose channels all are at one end of their range."""
    if view.mask is None or not (view.mask > _INSIDE).any():
        return 0.0
    colours = view.rgb[view.mask > _INSIDE]
    full = np.iinfo(view.rgb.dtype).max
    return float(((colours == 0).all(axis=1) | (colours == full).all(axis=1)).mean())


def _contact(view: View, allowed: tuple[str, ...]) -> dict[str, int]:
    if view.mask is None:
        return {}
    border = measure_foreground(view.mask).border_px
    return {edge: count for edge, count in border.items() if count and edge not in allowed}
