"""Settings of the reader."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class GslrmReaderConfig(ComponentConfig):
    """Settings of ``facelift_reader.gslrm``.

    Attributes:
        path: A sample folder, a folder of sample folders, or a text file that lists them; a run
            fills it in from ``data.path``.
        layout: ``gslrm`` has a camera file per sample. ``mvdiffusion`` has none: its six pictures
            must have been taken with FaceLift's slot cameras (front, front_right, right, back,
            left, front_left; elevation 0, distance 2.7), and those are taken. ``auto`` is
            ``gslrm`` where there are camera files, else ``mvdiffusion``.
        views: Views to keep, by index or name, in this order; None keeps all.
        mask: ``alpha`` takes the mask from the pictures and refuses those without one; ``none``
            ignores alpha and leaves the mask to a preprocessor.
        bits: 8 rounds pictures of 16 bits per channel; 16 keeps them until ``conform``.
    """

    path: Path | None = None
    layout: Literal["auto", "gslrm", "mvdiffusion"] = "auto"
    views: tuple[int | str, ...] | None = Field(default=None, min_length=1)
    mask: Literal["alpha", "none"] = "alpha"
    bits: Literal[8, 16] = 8
