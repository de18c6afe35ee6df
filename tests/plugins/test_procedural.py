"""The plugin ``procedural``: what it offers, and samples that never change."""

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from pathlib import Path

import mfl_adapt_procedural
import numpy as np
import pytest
from mfl_adapt_procedural.config import HeadsConfig, MiceConfig, can_read
from mfl_adapt_procedural.reader import ProceduralReader, _next_of
from pydantic import ValidationError

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ReaderSpec
from mfl_adapt.synth import render_sample

SMALL = {"samples": 3, "size": 16, "num_views": 2}


def digests(samples):
    return [sample.provenance[0].digest for sample in samples]


def test_components():
    specs = {spec.name: spec for spec in mfl_adapt_procedural.register_components()}
    assert specs.keys() == {"heads", "mice"}
    for spec in specs.values():
        assert isinstance(spec, ReaderSpec)
        assert not spec.needs_path
        for reference in (spec.build, spec.can_read):
            name, attribute = reference.split(":")
            assert callable(getattr(import_module(name), attribute))


def test_no_path_is_claimed(tmp_path):
    assert not can_read(tmp_path)
    assert not can_read(Path("nowhere"))


def test_listing_and_validating_import_nothing_heavy():
    code = (
        "import sys, mfl_adapt_procedural as p\n"
        "for spec in p.register_components(): spec.config()\n"
        "heavy = {'torch', 'cv2', 'numba', 'mfl_adapt.synth'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_samples_are_those_of_synth():
    reader = ProceduralReader(
        MiceConfig(**SMALL, split="test", seed=3, rig="random", elevation_deg=(0, 30))
    )
    assert len(reader) == 3
    expected = [
        render_sample(
            "mice", k, "test", rig="random", size=16, num_views=2, stream=3, elevation_deg=(0, 30)
        )
        for k in range(3)
    ]
    assert digests(reader) == digests(expected)
    assert reader[-1].id == "mice-test-3-000002"
    assert [sample.id for sample in reader] == [sample.id for sample in expected]


def test_samples_stay_in_memory():
    reader = ProceduralReader(HeadsConfig(**SMALL))
    assert reader[1] is reader[1]
    assert list(reader)[1] is reader[1]


def test_an_index_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):
        ProceduralReader(HeadsConfig(**SMALL))[3]


@pytest.mark.parametrize("rig", ["slots", "lab"])
def test_fixed_rigs_have_six_cameras(rig):
    assert len(ProceduralReader(MiceConfig(samples=1, size=16, rig=rig))[0].views) == 6


def test_more_samples_keep_the_first_ones():
    few = ProceduralReader(HeadsConfig(**SMALL))
    more = ProceduralReader(HeadsConfig(**(SMALL | {"samples": 5})))
    assert digests(few) == digests(more)[:3]


def test_workers_draw_the_same_samples():
    settings = {"samples": 9, "size": 16, "num_views": 1}
    alone = ProceduralReader(MiceConfig(**settings))
    helped = ProceduralReader(MiceConfig(**settings, workers=2))
    assert digests(helped) == digests(alone)


def test_a_dead_worker_says_what_to_do():
    def broken():
        raise BrokenProcessPool
        yield

    with pytest.raises(DataError, match=r"one died.*__main__.*workers: 0"):
        _next_of(broken())


def test_cache_keeps_samples_between_readers(tmp_path, monkeypatch):
    config = MiceConfig(**SMALL, cache=tmp_path / "kept")
    first = list(ProceduralReader(config))
    monkeypatch.setattr(
        "mfl_adapt_procedural.reader.draw", lambda *_: pytest.fail("rendered although cached")
    )
    for sample, kept in zip(first, ProceduralReader(config), strict=True):
        assert kept.id == sample.id
        assert (kept.session, kept.animal) == (sample.session, sample.animal)
        assert kept.provenance == sample.provenance
        for view, again in zip(sample.views, kept.views, strict=True):
            assert (again.name, again.source) == (view.name, view.source)
            for field in ("rgb", "mask", "c2w", "fxfycxcy"):
                np.testing.assert_array_equal(getattr(again, field), getattr(view, field))


def test_cache_never_mixes_settings(tmp_path):
    settings = {"samples": 1, "size": 16, "cache": tmp_path}
    kinds = [
        MiceConfig(**settings),
        HeadsConfig(**settings),
        MiceConfig(**settings, split="test"),
        MiceConfig(**settings, seed=1),
        MiceConfig(**settings, rig="lab"),
        MiceConfig(**settings, num_views=3),
        MiceConfig(**(settings | {"size": 24})),
        MiceConfig(**settings, elevation_deg=(0, 5)),
    ]
    seen = {digests(ProceduralReader(config))[0] for config in kinds}
    assert len(seen) == len(kinds) == len(list(tmp_path.rglob("*.npz")))


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_a_damaged_cache_file_is_named(tmp_path, damage):
    config = MiceConfig(**SMALL, cache=tmp_path)
    list(ProceduralReader(config))
    file = sorted(tmp_path.rglob("*.npz"))[1]
    # None cuts the file in half, as a full disk would.
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.raises(DataError, match=r"000001\.npz: expected a cached sample.*Delete the file"):
        list(ProceduralReader(config))


def test_a_changed_picture_in_the_cache_is_noticed(tmp_path):
    config = MiceConfig(**SMALL, cache=tmp_path)
    list(ProceduralReader(config))
    file = sorted(tmp_path.rglob("*.npz"))[0]
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["rgb"][0, 5, 5] ^= 1
    np.savez_compressed(file, **arrays)
    with pytest.raises(DataError, match="other pixels or cameras"):
        ProceduralReader(config)[0]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"rig": "lab", "num_views": 8}, "rig 'lab' has six cameras, got num_views 8"),
        ({"rig": "slots", "elevation_deg": (0, 30)}, "remove elevation_deg"),
        ({"elevation_deg": (30, 0)}, r"must rise within -89 to 89, got \[30\.0, 0\.0\]"),
        ({"split": "val"}, "'train', 'validation' or 'test'"),
        ({"samples": 0}, "greater than or equal to 1"),
        ({"seed": 1000}, "less than 1000"),
        ({"animals": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_be_used(settings, match):
    with pytest.raises(ValidationError, match=match):
        MiceConfig(**settings)


def test_a_longer_lens_shows_a_larger_mouse():
    near, far = (
        ProceduralReader(MiceConfig(**SMALL | {"size": 48}, focal_ratio=ratio))[0]
        for ratio in (1.5, 1.0)
    )
    assert near.cameras.fxfycxcy[0].tolist() == [72.0, 72.0, 24.0, 24.0]
    assert near.views[0].mask.sum() > 1.8 * far.views[0].mask.sum()  # 1.5 squared, less what is cut


def test_fixed_rigs_have_lenses_of_their_own():
    with pytest.raises(ValidationError, match="rig 'lab' has lenses of its own"):
        MiceConfig(rig="lab", focal_ratio=1.5)
