"""Settings of the reader."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class SparseConfig(ComponentConfig):
    """Settings of ``colmap.sparse``.

    Attributes:
        path: Folder of a reconstruction, with its pictures beside ``sparse``, or a folder of such
            folders; a run fills it in from ``data.path``.
        model: Folder of the model's files, relative to the reconstruction; None tries
            ``sparse/0``, ``sparse`` and the reconstruction's own folder.
        images: Folder of the pictures, relative to the reconstruction.
        masks: Folder of the masks, relative to the reconstruction, named as COLMAP wants them:
            ``masks/a/b.jpg.png`` for ``images/a/b.jpg``.
        mask: ``auto`` takes the masks where their folder exists, else the pictures' alpha, else
            none; ``folder`` and ``alpha`` refuse pictures without; ``none`` leaves the mask to a
            preprocessor.
        bits: 8 rounds pictures of 16 bits per channel; 16 keeps them until ``conform``.
        samples: ``one`` takes a reconstruction as one sample; ``folder`` each folder of pictures;
            ``name`` the pictures of one file name in the folders of different cameras.
        views: Views of every sample to keep, by index or name, in this order; None keeps all.
    """

    path: Path | None = None
    model: str | None = Field(default=None, min_length=1)
    images: str = Field(default="images", min_length=1)
    masks: str = Field(default="masks", min_length=1)
    mask: Literal["auto", "folder", "alpha", "none"] = "auto"
    bits: Literal[8, 16] = 8
    samples: Literal["one", "folder", "name"] = "one"
    views: tuple[int | str, ...] | None = Field(default=None, min_length=1)
