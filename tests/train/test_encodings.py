"""Kept encodings: the very bits of fresh ones, and files that nobody has to trust."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from mfl_adapt.data import PreparedDataset, SlotViews, Split, conform
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.pipeline import OpenData
from mfl_adapt.synth import render_sample
from mfl_adapt.train.encodings import Encodings, join, read_encoded, write_encoded

WHITE, GREY = np.ones(3, np.float32), np.full(3, 0.5, np.float32)


@pytest.fixture(scope="module")
def base():
    return FrozenMVDiffusion(build_fresh(seed=3), id="facelift.mvdiffusion")


@pytest.fixture(scope="module")
def data(base):
    samples = [render_sample("mice", k, "train", rig="slots", size=64) for k in range(2)]
    prepared = PreparedDataset(conform(sample, base.contract) for sample in samples)
    split, policy = Split((0,), (1,)), SlotViews(base.contract.slots_deg)
    return OpenData(prepared, split, policy, base.contract)


def same(first, second):
    names = [field.name for field in fields(Encoded)]
    return all(torch.equal(getattr(first, one), getattr(second, one)) for one in names)


def files(folder):
    return sorted((folder / "encoded").glob("*.safetensors"))


def count_calls(base, monkeypatch):
    calls, encode = [], base.encode
    monkeypatch.setattr(base, "encode", lambda *given: calls.append(given) or encode(*given))
    return calls


def test_kept_is_fresh_bit_for_bit_in_memory_and_from_disk(base, data, tmp_path):
    fresh = Encodings(base, data, keep=False).of(0, WHITE)
    kept = Encodings(base, data, keep=True, cache=tmp_path)
    again = Encodings(base, data, keep=True, cache=tmp_path)
    for one in (kept.of(0, WHITE), kept.of(0, WHITE), again.of(0, WHITE)):
        assert same(one, fresh)
    assert len(files(tmp_path)) == 1


def test_networks_run_once_per_sample(base, data, tmp_path, monkeypatch):
    calls = count_calls(base, monkeypatch)
    for _ in range(2):
        encodings = Encodings(base, data, keep=True, cache=tmp_path)
        for index in (0, 1, 0):
            encodings.of(index, WHITE)
    assert len(calls) == 2


def test_what_is_not_kept_is_computed_each_time_and_not_written(base, data, tmp_path, monkeypatch):
    calls = count_calls(base, monkeypatch)
    encodings = Encodings(base, data, keep=False, cache=tmp_path)
    encodings.of(0, WHITE)
    encodings.of(0, WHITE)
    assert len(calls) == 2
    assert not (tmp_path / "encoded").exists()


def test_pictures_lie_over_the_colour(base, data, monkeypatch):
    calls = count_calls(base, monkeypatch)
    Encodings(base, data, keep=False).of(0, GREY)
    ((reference, pictures),) = calls
    assert torch.equal(reference, pictures[:, 0])
    view = data.samples[0].views[3]
    alpha = view.mask[..., None] / 255
    expected = view.rgb / 255 * alpha + 0.5 * (1 - alpha)
    made = pictures[0, 3].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_other_pictures_colours_and_bases_have_other_files(base, data, tmp_path, monkeypatch):
    encodings = Encodings(base, data, keep=True, cache=tmp_path)
    encodings.of(0, WHITE)
    encodings.of(1, WHITE)
    encodings.of(0, GREY)
    assert len(files(tmp_path)) == 3
    monkeypatch.setattr(base, "sha256", "0" * 64)
    Encodings(base, data, keep=True, cache=tmp_path).of(0, WHITE)
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize("damage", ["short", "flipped", "foreign"])
def test_a_damaged_file_is_made_again_and_says_so(base, data, tmp_path, caplog, damage):
    fresh = Encodings(base, data, keep=True, cache=tmp_path).of(0, WHITE)
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "short":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-3] ^= 1
    else:
        content = bytearray(b"not a weight file at all")
    path.write_bytes(content)
    found = Encodings(base, data, keep=True, cache=tmp_path).of(0, WHITE)
    assert same(found, fresh)
    assert "It is made again." in caplog.text
    assert same(read_encoded(path, path.stem), fresh)


def test_a_file_under_another_name_is_not_believed(base, data, tmp_path, caplog):
    encodings = Encodings(base, data, keep=True, cache=tmp_path)
    encodings.of(0, WHITE)
    (first,) = files(tmp_path)
    wrong = encodings.of(1, WHITE)
    write_encoded(first, wrong, "another key")
    again = Encodings(base, data, keep=True, cache=tmp_path).of(0, WHITE)
    assert not same(again, wrong)
    assert "others" in caplog.text


def test_a_batch_is_its_samples_one_after_the_other(base, data):
    encodings = Encodings(base, data, keep=True)
    parts = [encodings.of(index, WHITE) for index in (1, 0)]
    batch = join(parts, torch.device("cpu"))
    assert batch.target_mean.shape[:2] == (2, 6)
    assert torch.equal(batch.embeds[1:], parts[1].embeds)


def test_memory_is_bounded_and_what_came_first_stays(base, data, tmp_path, monkeypatch, caplog):
    calls = count_calls(base, monkeypatch)
    size = Encodings(base, data, keep=False).of(0, WHITE).num_bytes
    side = base.size // 8
    assert size == 4 * (base.parts.image_encoder.config.projection_dim + (1 + 2 * 6) * 4 * side**2)
    for cache, times in ((None, 3), (tmp_path, 2)):
        calls.clear()
        caplog.clear()
        encodings = Encodings(base, data, keep=True, cache=cache, most_bytes=2 * size - 1)
        with caplog.at_level("INFO", "mfl_adapt.train.encodings"):
            made = [encodings.of(index, WHITE) for index in (0, 1, 0, 1)]
        # The first sample stays; the second is made again, or read from the folder.
        assert (made[2] is made[0], made[3] is made[1], len(calls)) == (True, False, times)
        assert same(made[3], made[1])
        assert caplog.text.count("1 samples fill the memory") == 1
