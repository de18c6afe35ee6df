"""Collate: from numpy samples to one batch of tensors."""

from dataclasses import replace
from threading import current_thread

import numpy as np
import pytest
import torch
from small_samples import CONTRACT, make_sample

from mfl_adapt.data import collate as collate_module
from mfl_adapt.data import conform
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.images import composite
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


@pytest.mark.parametrize("background", [1.0, 0.0, 0.37])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_colour_under_every_mask_is_that_of_composite_bit_for_bit(background, dtype):
    sample = conform(make_sample(), CONTRACT)
    colour, mask = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    scale = np.iinfo(dtype).max // 255
    rgb = (scale * np.stack([colour, 255 - colour, colour // 2], axis=2)).astype(dtype)
    view = replace(sample.views[0], rgb=rgb, mask=mask.astype(np.uint8))
    views = replace(sample, views=(view, view))
    contract = replace(CONTRACT, background=background)
    batch = collate([views], [ViewSplit((0,), (1,))], contract)
    expected = composite(view.rgb, view.mask, background).astype(np.float32)
    for found in (batch.inputs, batch.targets):
        assert torch.equal(found.rgb[0, 0], torch.from_numpy(expected).permute(2, 0, 1))
        assert torch.equal(found.mask[0, 0, 0], torch.from_numpy(mask / 255.0).float())
        assert found.rgb.is_contiguous()
        assert found.mask.is_contiguous()


def test_pictures_are_the_same_with_several_threads(monkeypatch):
    samples = [conform(make_sample(name), CONTRACT) for name in ("a", "bb")]
    splits = [ViewSplit((2, 0), (1,)), ViewSplit((0, 1), (2,))]
    one_by_one, threads = collate(samples, splits, CONTRACT), set()
    fill = collate_module._fill

    def note(*given):
        threads.add(current_thread().name.rpartition("_")[0])
        fill(*given)

    monkeypatch.setattr(collate_module, "_fill", note)
    monkeypatch.setattr(collate_module, "_WORTH_THREADS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    together = collate(samples, splits, CONTRACT)
    assert threads == {"mfl_adapt.collate"}
    for one, other in (
        (one_by_one.inputs, together.inputs),
        (one_by_one.targets, together.targets),
    ):
        assert torch.equal(one.rgb, other.rgb)
        assert torch.equal(one.mask, other.mask)
    bare = replace(samples[0], views=(replace(samples[0].views[0], mask=None),) * 2)
    with pytest.raises(DataError, match="expected a mask"):
        collate([bare], [ViewSplit((0, 1), (0,))], CONTRACT)
