"""Collate: from numpy samples to one batch of tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_samples import CONTRACT, make_sample

from mfl_adapt.data import conform
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.types import ViewSplit


def test_shapes_order_and_values():
    samples = [conform(make_sample(name), CONTRACT) for name in ("a", "bb")]
    batch = collate(samples, [ViewSplit((2, 0), (1,)), ViewSplit((0, 1), (2,))], CONTRACT)
    assert batch.ids == ("a", "bb")
    assert batch.inputs.rgb.shape == (2, 2, 3, 16, 16)
    assert batch.inputs.mask.shape == (2, 2, 1, 16, 16)
    assert batch.targets.rgb.shape == (2, 1, 3, 16, 16)
    assert batch.inputs.cameras.shape == (2, 2)
    assert (batch.inputs.cameras.height, batch.inputs.cameras.width) == (16, 16)
    assert batch.inputs.rgb.dtype == batch.inputs.cameras.c2w.dtype == torch.float32
    # Input 0 of sample "a" is its view 2, composited on white.
    view = samples[0].views[2]
    alpha = view.mask[3, 5] / 255
    expected = view.rgb[3, 5] / 255 * alpha + 1 - alpha
    np.testing.assert_allclose(batch.inputs.rgb[0, 0, :, 3, 5], expected, rtol=0, atol=1e-7)
    assert batch.inputs.mask[0, 0, 0, 3, 5].item() == pytest.approx(alpha, abs=1e-7)
    np.testing.assert_allclose(batch.targets.cameras.c2w[1, 0], samples[1].views[2].c2w, atol=1e-7)


def test_the_contract_gives_the_background():
    sample = conform(make_sample(), CONTRACT)
    empty = replace(sample.views[0], mask=np.zeros((16, 16), np.uint8))
    sample = replace(sample, views=(empty,))
    grey = replace(CONTRACT, background=0.25)
    batch = collate([sample], [ViewSplit((0,), (0,))], grey)
    assert (batch.inputs.rgb == 0.25).all()


def test_refusals():
    sample = conform(make_sample(), CONTRACT)
    split = ViewSplit((0, 1), (2,))
    with pytest.raises(ShapeError, match="2 samples and 1 splits"):
        collate([sample, sample], [split], CONTRACT)
    with pytest.raises(ShapeError, match="0 samples"):
        collate([], [], CONTRACT)
    with pytest.raises(ShapeError, match=r"same number of views.* got \[1, 2\]"):
        collate([sample, sample], [split, ViewSplit((0,), (2,))], CONTRACT)
    with pytest.raises(ShapeError, match=r"same number of views.* got \[0\]"):
        collate([sample], [ViewSplit((0,), ())], CONTRACT)
    other = conform(make_sample(), CONTRACT, 8)
    with pytest.raises(ShapeError, match=r"one size, got \[\[8, 8\], \[16, 16\]\]"):
        collate([sample, other], [split, split], CONTRACT)
    bare = replace(sample, views=(replace(sample.views[0], mask=None),))
    with pytest.raises(DataError, match=r"cam_000\.png: expected a mask"):
        collate([bare], [ViewSplit((0,), (0,))], CONTRACT)
