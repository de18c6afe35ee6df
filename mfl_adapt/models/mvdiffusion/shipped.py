"""The small model that ships with the package, in the published layout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion

ID = "facelift.tiny_views"


def shipped_folder() -> Path:
    """Return the model's folder in the published layout.

    Raises:
        CheckpointError: If the installation lacks it.
    """
    folder = Path(str(files("mfl_adapt.models.mvdiffusion"))) / "weights" / "facelift_tiny_views"
    if not (folder / "model_index.json").is_file():
        raise CheckpointError(
            f"{ID}: expected the installed package to hold its weights, found nothing at "
            f"{folder}. Install mfl-adapt again."
        )
    return folder


def load_shipped_views(*, prompts: Path | None = None) -> FrozenMVDiffusion:
    """Load ``facelift.tiny_views``: 64 px pictures, six views, heads.

    Args:
        prompts: File of prompt embeddings; None makes those it was trained with.

    Raises:
        CheckpointError: If the installation lacks its files, or the prompts cannot be read.
        ShapeError: If the prompts do not fit the model.
        RangeError: If a number in the prompts is not finite.
    """
    return load_mvdiffusion(shipped_folder(), id=ID, prompts=prompts)
