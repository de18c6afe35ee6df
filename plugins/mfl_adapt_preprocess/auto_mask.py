"""Masks for pictures that have none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import measure_foreground, replace_pixels

from .config import DEFAULT_THRESHOLDS, AutoMaskConfig
from .mask_files import MaskFiles
from .masks import HALF, name_view

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Sample, View

_STEP = "preprocess.auto_mask"

_NO_SUBJECT = "Leave this view out with the reader's views, or this moment out of the dataset."
# What to do about an empty mask, and about one that covers everything.
_REMEDIES = {
    "alpha": (_NO_SUBJECT, "The alpha channel holds no mask; set source: white, folder or video."),
    "white": (
        "The subject is as white as the background; raise the threshold or set source: folder.",
        "The background is darker than the threshold; lower it or set source: folder.",
    ),
    "folder": (_NO_SUBJECT, "Masks must be white where the animal is and black elsewhere."),
    "video": (_NO_SUBJECT, "Masks must be white where the animal is and black elsewhere."),
}


class AutoMask:
    """Gives every view a mask from one source, and refuses masks that cannot be right.

    It must come before every step that changes colours: a white background of 255 times a
    brightness of 0.95 is 242, and a threshold of 250 then calls the whole frame subject. Steps
    that change colours say so by ``photometric: true`` in their provenance.
    """

    def __init__(self, config: AutoMaskConfig) -> None:
        """Keep the settings.

        Raises:
            DataError: If the folder of masks does not exist.
        """
        self._config = config
        self._files = MaskFiles(config) if config.source in {"folder", "video"} else None
        default = DEFAULT_THRESHOLDS.get(config.source)
        self._threshold = default if config.threshold is None else config.threshold

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with a mask in every view.

        Raises:
            DataError: If colours have been changed before, a mask's source is missing, or a mask
                is empty or covers the whole frame.
        """
        _check_order(sample)
        views, shares = [], []
        for number, view in enumerate(sample.views):
            mask = self._mask(sample, number)
            shares.append(self._check(sample, mask, view))
            views.append(replace(view, mask=mask))
        params: dict[str, Any] = self._config.model_dump(mode="json")
        return replace_pixels(sample, views, step=_STEP, params=params | {"shares": shares})

    def _mask(self, sample: Sample, number: int) -> Bytes:
        view, threshold = sample.views[number], self._threshold
        if self._config.source == "white" and threshold is not None:
            return _not_white(view, threshold)
        if self._files is not None:
            mask = self._files.load(sample, number)
        elif view.mask is None:
            raise DataError(
                f"{name_view(sample, view)}: expected an alpha channel that holds the mask, got "
                "none. Let the reader keep alpha (mask: alpha), or set source: white or folder.",
                code="MFL049",
            )
        else:
            mask = view.mask
        return mask if threshold is None else np.where(mask > threshold, 255, 0).astype(np.uint8)

    def _check(self, sample: Sample, mask: Bytes, view: View) -> float:
        """Share of the picture in the mask, once that share is possible.

        Raises:
            DataError: If the mask is empty or covers too much.
        """
        share = measure_foreground(mask).share
        if (mask > HALF).any() and share <= self._config.max_share:
            return round(share, 6)
        source, whole = self._config.source, share > self._config.max_share
        found = f"a mask over {100 * share:.3g} %" if whole else "an empty mask"
        raise DataError(
            f"{name_view(sample, view)}: expected a mask of the animal, over at most "
            f"{100 * self._config.max_share:g} % of the picture, got {found} from source: {source}."
            f" {_REMEDIES[source][whole]}"
        )


def _check_order(sample: Sample) -> None:
    """Raise if a step before this one has changed colours.

    Raises:
        DataError: Naming that step.
    """
    for step in sample.provenance:
        if step.params.get("photometric"):
            raise DataError(
                f"sample {sample.id}: expected {_STEP} before every step that changes colours, "
                f"got it after {step.step}. Move it to the front of data.preprocess, or leave it "
                "out where the pictures bring their masks."
            )


def _not_white(view: View, threshold: int) -> Bytes:
    """255 where any channel is at or below the threshold, which counts in 8 bits."""
    level = threshold * 257 if view.rgb.dtype == np.uint16 else threshold
    return np.where((view.rgb <= level).any(axis=2), 255, 0).astype(np.uint8)
