"""One colour behind the subject."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.images import replace_pixels

from .config import CompositeConfig
from .masks import subject_mask

if TYPE_CHECKING:
    from mfl_adapt.types import Sample, View


class Composite:
    """Replaces what lies behind the subject, so that programs which ignore alpha show no arena.

    Only pixels outside the mask change. Partly covered ones keep their straight colour, as every
    picture here does, so that putting the sample over a background later blends them once.
    """

    def __init__(self, config: CompositeConfig) -> None:
        """Keep the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with another background.

        Raises:
            DataError: If a view has no mask or an empty one.
        """
        views = [self._fill(sample, view) for view in sample.views]
        params: dict[str, Any] = self._config.model_dump(mode="json") | {"photometric": True}
        return replace_pixels(sample, views, step="preprocess.composite", params=params)

    def _fill(self, sample: Sample, view: View) -> View:
        behind = subject_mask(sample, view) == 0
        rgb = view.rgb.copy()
        color = np.asarray(self._config.color) * np.iinfo(rgb.dtype).max
        rgb[behind] = np.rint(color).astype(rgb.dtype)
        return replace(view, rgb=rgb)
