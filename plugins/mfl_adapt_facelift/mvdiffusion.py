"""The base ``facelift.mvdiffusion``."""

from pathlib import Path

import torch

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.fetched import Fetched, locate
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion

from .config import MVDiffusionBaseConfig

ID = "facelift.mvdiffusion"

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def build_mvdiffusion(config: MVDiffusionBaseConfig) -> FrozenMVDiffusion:
    """Load a published folder.

    Raises:
        CheckpointError: If the folder was neither named nor fetched, a part is missing or
            damaged, parts do not fit each other, or a fetched file has changed.
    """
    folder, fetched = (config.checkpoint, None) if config.checkpoint else locate(ID)
    base = load_mvdiffusion(
        folder,
        id=ID,
        dtype=_DTYPES[config.dtype],
        text=config.text,
        expected_sha256=config.sha256,
        prompts=config.prompts,
    )
    if fetched is not None:
        _check_unchanged(base, folder, fetched)
    return base


def _check_unchanged(base: FrozenMVDiffusion, folder: Path, fetched: Fetched) -> None:
    """Compare the files that were read with the record of the download.

    Raises:
        CheckpointError: If one has changed since.
    """
    for name, sha256 in base.parts.files.items():
        recorded = fetched.files.get(name)
        if recorded is None or recorded.sha256 != sha256:
            raise CheckpointError(
                f"{folder / name}: expected the file as it was fetched, got one with SHA-256 "
                f"{sha256}. Run `mfl-adapt base fetch {ID}` to mend it."
            )
