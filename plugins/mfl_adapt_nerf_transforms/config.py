"""Settings of the reader."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class TransformsConfig(ComponentConfig):
    """Settings of ``nerf_transforms.transforms``.

    Attributes:
        path: A camera file, the folder of one scene, or a folder of scenes; a run fills it in
            from ``data.path``.
        file: Name of the camera file in a scene's folder; None takes ``transforms.json``, else
            ``transforms_train.json``.
        views: Views of every sample to keep, by index or name, in this order; None keeps all.
        mask: ``auto`` takes a frame's ``mask_path`` where it has one, else the picture's alpha,
            else none; ``mask_path`` and ``alpha`` refuse frames without; ``none`` leaves the mask
            to a preprocessor.
        bits: 8 rounds pictures of 16 bits per channel; 16 keeps them until ``conform``.
        time_unit_s: Seconds per unit of the frames' ``time``, which many datasets run from 0 to 1.
    """

    path: Path | None = None
    file: str | None = Field(default=None, min_length=1)
    views: tuple[int | str, ...] | None = Field(default=None, min_length=1)
    mask: Literal["auto", "alpha", "mask_path", "none"] = "auto"
    bits: Literal[8, 16] = 8
    time_unit_s: float = Field(default=1.0, gt=0)
