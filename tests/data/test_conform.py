"""Conform: one size for all, with cameras and provenance."""

from dataclasses import replace

import numpy as np
import pytest
from small_samples import CONTRACT, make_sample

from mfl_adapt.data import conform
from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import digest_views


def test_pictures_masks_and_cameras_change_together():
    before = make_sample(size=24)
    after = conform(before, CONTRACT)
    assert {(view.height, view.width) for view in after.views} == {(16, 16)}
    assert {view.mask.shape for view in after.views} == {(16, 16)}
    for old, new in zip(before.views, after.views, strict=True):
        np.testing.assert_allclose(new.fxfycxcy, old.fxfycxcy * 16 / 24, rtol=1e-14)
        assert np.array_equal(new.c2w, old.c2w)
        assert new.name == old.name
    assert before.views[0].height == 24


def test_provenance_can_be_undone():
    after = conform(make_sample(size=24), CONTRACT)
    step = after.provenance[-1]
    assert step.step == "conform"
    assert step.params == {"size": 16}
    assert step.digest == digest_views(after.views)
    assert len(step.pixel_maps) == 3
    np.testing.assert_allclose(step.pixel_maps[0], np.diag([2 / 3, 2 / 3, 1.0]), rtol=1e-15)


def test_views_of_several_sizes_come_out_equal():
    mixed = make_sample(size=24)
    other = make_sample(size=40)
    mixed = replace(mixed, views=(mixed.views[0], other.views[1], mixed.views[2]))
    assert conform(mixed, CONTRACT, 8).cameras.height == 8


def test_conforming_twice_changes_no_pixel():
    once = conform(make_sample(), CONTRACT)
    twice = conform(once, CONTRACT)
    assert digest_views(once.views) == digest_views(twice.views)
    assert len(twice.provenance) == 2


def test_refusals():
    sample = make_sample()
    view = sample.views[1]
    wide = replace(view, rgb=view.rgb[:20], mask=view.mask[:20])
    with pytest.raises(DataError, match=r"s/images/cam_001.png: expected a square .* \[20, 24\]"):
        conform(replace(sample, views=(view, wide)), CONTRACT)
    with pytest.raises(DataError, match=r"cam_001\.png: expected a mask .* preprocess\.auto_mask"):
        conform(replace(sample, views=(replace(view, mask=None),)), CONTRACT)
    with pytest.raises(DataError, match="sample s: expected at least one view"):
        conform(replace(sample, views=()), CONTRACT)
    with pytest.raises(RangeError, match="multiple of the patch 8, got 20"):
        conform(sample, CONTRACT, 20)
    with pytest.raises(RangeError, match="got 0"):
        conform(sample, CONTRACT, 0)


def test_pictures_of_16_bits_come_out_with_8():
    shallow = make_sample(size=24)
    views = tuple(replace(v, rgb=v.rgb.astype(np.uint16) * 257) for v in shallow.views)
    deep = conform(replace(shallow, views=views), CONTRACT)
    assert {view.rgb.dtype for view in deep.views} == {np.dtype(np.uint8)}
    for one, other in zip(deep.views, conform(shallow, CONTRACT).views, strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    same_size = conform(replace(shallow, views=views), CONTRACT, 24)
    assert digest_views(same_size.views) == digest_views(shallow.views)
