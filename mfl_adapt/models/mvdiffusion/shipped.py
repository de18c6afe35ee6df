"""The small model that ships with the package, in the published layout."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion

ID = "facelift.tiny_views"


def load_shipped_views(*, prompts: Path | None = None) -> FrozenMVDiffusion:
    """Load ``facelift.tiny_views``: 64 px pictures, six views, heads.

    Args:
        prompts: File of prompt embeddings; None makes those it was trained with.

    Raises:
        CheckpointError: If the installation lacks its files, or the prompts cannot be read.
        ShapeError: If the prompts do not fit the model.
        RangeError: If a number in the prompts is not finite.
    """
    shipped = files("mfl_adapt.models.mvdiffusion").joinpath("weights", "facelift_tiny_views")
    if not shipped.joinpath("model_index.json").is_file():
        raise CheckpointError(
            f"{ID}: expected the installed package to hold its weights, found nothing at "
            f"{shipped}. Install mfl-adapt again."
        )
    with as_file(shipped) as folder:
        return load_mvdiffusion(folder, id=ID, prompts=prompts)
