"""The names of ``import mfl_adapt as mfl``, as the README uses them."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import mfl_adapt as mfl
from mfl_adapt.cameras import facelift_ring


def test_import_is_light() -> None:
    code = (
        "import mfl_adapt, sys; print([m for m in ('torch', 'cv2', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reconstruct_and_render_from_numpy_cameras() -> None:
    base = mfl.load_base("facelift.tiny")
    ring = facelift_ring(4, size=64)
    cameras = mfl.Cameras(c2w=ring.c2w[None], fxfycxcy=ring.fxfycxcy[None], height=64, width=64)
    with torch.inference_mode():
        gaussians = base.reconstruct(torch.ones(1, 4, 3, 64, 64), cameras)
        images = mfl.render(gaussians, cameras, background=1.0, near=0.2, backend="auto")
        again = mfl.render(gaussians, cameras)  # the name still works once its package is loaded
    assert isinstance(gaussians, mfl.Gaussians)
    assert list(gaussians.means.shape) == [1, 2 + 4 * 64 * 64, 3]
    assert list(images.rgb.shape) == [1, 4, 3, 64, 64]
    assert list(images.depth.shape) == [1, 4, 1, 64, 64]
    assert torch.equal(images.rgb, again.rgb)
    assert np.isfinite(images.rgb.numpy()).all()


def test_every_public_name_is_there() -> None:
    for name in mfl.__all__:
        assert getattr(mfl, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod_base'"):
        _ = mfl.lod_base
