"""What several test rooms share: where the reference data lie, and the GPU marker."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

HAS_CUDA = torch.cuda.is_available()
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="this machine has CUDA")


def shared_path(relative: str) -> Path:
    """Path of a reference file; skips where there is no reference folder, fails where it should be.

    ``MFL_SHARED`` names the folder. Unset, it is ``../shared`` beside the checkout, and tests
    that need it skip if it is absent. Set, it must exist.
    """
    named = os.environ.get("MFL_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not folder.is_dir():
        if named:
            pytest.fail(f"MFL_SHARED names {named}, which is not a folder")
        pytest.skip("needs the reference data: set MFL_SHARED to their folder")
    path = folder / relative
    if not path.exists():
        pytest.fail(f"{path} is missing from the reference data")
    return path
