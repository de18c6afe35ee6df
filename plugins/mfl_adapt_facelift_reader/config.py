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
        views: Views to keep, by index or name, in this order; None keeps all.
        mask: ``alpha`` takes the mask from the pictures and refuses those without one; ``none``
            ignores alpha and leaves the mask to a preprocessor.
    """

    path: Path | None = None
    views: tuple[int | str, ...] | None = Field(default=None, min_length=1)
    mask: Literal["alpha", "none"] = "alpha"
