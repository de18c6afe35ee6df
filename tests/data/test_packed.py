"""The packed cache: the same samples, never a stale or a damaged one."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_samples import CONTRACT, make_sample

from mfl_adapt.chain import describe_chain, open_chain
from mfl_adapt.config import load_config
from mfl_adapt.data import PreparedDataset, conform, fingerprint, open_packed, write_dataset
from mfl_adapt.data.packed import PackedSamples
from mfl_adapt.errors import DataError, ShapeError, StorageError
from mfl_adapt.images import save_picture
from mfl_adapt.pipeline import open_data
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.types import Provenance, RawCamera, Similarity

KEY = {"made": "from this"}


def conformed(*names, **labels):
    return [conform(make_sample(name, **labels), CONTRACT) for name in names]


def refuse_to_read():
    pytest.fail("the pictures were read again")
    yield


def the_folder(cache: Path) -> Path:
    (folder,) = [path for path in cache.iterdir() if path.is_dir()]
    return folder


def test_the_samples_come_back_whole(tmp_path):
    samples = conformed("a", "bb", session="day 1", animal="m7", time_s=0.1)
    packed = open_packed(tmp_path, KEY, iter(samples))
    assert [one.id for one in packed] == ["a", "bb"]
    assert fingerprint(packed) == fingerprint(samples)
    for one, other in zip(packed, samples, strict=True):
        assert (one.session, one.animal, one.time_s) == ("day 1", "m7", 0.1)
        assert one.provenance == other.provenance
        assert [view.name for view in one.views] == [view.name for view in other.views]
        assert [view.source for view in one.views] == [view.source for view in other.views]
        for view, was in zip(one.views, other.views, strict=True):
            assert (view.c2w == was.c2w).all()
            assert (view.fxfycxcy == was.fxfycxcy).all()
            assert not view.rgb.flags.writeable
            assert not view.rgb.flags.owndata


def test_every_kind_of_provenance_comes_back(tmp_path):
    from dataclasses import replace

    rows = ((1.0, 0.0, 0.5), (0.0, 1.0, 1 / 3), (0.0, 0.0, 1.0))
    pose = ((1.0, 0.0, 0.0, 0.1), (0.0, 1.0, 0.0, 0.2), (0.0, 0.0, 1.0, 0.3), (0.0, 0.0, 0.0, 1.0))
    raw = RawCamera(pose, (9.0, 9.5, 4.0, 4.5), 8, 9, "brown", (0.1, 0.2, 0.0, 0.0), 0.25)
    steps = (
        Provenance("reader", {"a": [1, "b"]}, "d", raw_cameras=(raw,)),
        Provenance("moved", pixel_maps=(rows,), order=(0,), exact=False),
        Provenance("world", world=Similarity(2.0, rows, (1.0, 2.0, 3.0))),
    )
    (sample,) = conformed("a")
    (found,) = open_packed(tmp_path, KEY, [replace(sample, provenance=steps)])
    assert found.provenance == steps


def test_the_second_time_nothing_is_read(tmp_path):
    open_packed(tmp_path, KEY, conformed("a", "bb"))
    again = open_packed(tmp_path, KEY, refuse_to_read())
    assert len(again) == 2
    assert again[-1].id == "bb"
    assert [one.id for one in again[0:2]] == ["a", "bb"]
    with pytest.raises(IndexError):
        again[2]


def test_another_key_is_another_folder(tmp_path):
    open_packed(tmp_path, KEY, conformed("a"))
    assert open_packed(tmp_path, {"made": "anew"}, conformed("bb"))[0].id == "bb"
    assert open_packed(tmp_path, KEY, refuse_to_read())[0].id == "a"


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def edit_index(folder: Path) -> None:
    content = json.loads((folder / "index.json").read_text())
    content["index"]["samples"][0]["views"][0]["fxfycxcy"][0] += 1.0
    (folder / "index.json").write_text(json.dumps(content))


DAMAGE = {
    "a pixel": lambda folder: flip(folder / "rgb.bin", 100),
    "a mask": lambda folder: flip(folder / "mask.bin", -1),
    "a camera": edit_index,
    "pixels cut short": lambda folder: (folder / "rgb.bin").write_bytes(b"\0" * 40),
    "no pixels": lambda folder: (folder / "mask.bin").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "an empty index": lambda folder: (folder / "index.json").write_bytes(b""),
    "another index": lambda folder: (folder / "index.json").write_text('{"index": []}'),
    "a copy of another key": lambda folder: (folder / "index.json").write_text(
        (folder / "index.json").read_text().replace('"key": "', '"key": "0')
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_mended(tmp_path, caplog, damage):
    samples = conformed("a", "bb")
    open_packed(tmp_path, KEY, samples)
    folder = the_folder(tmp_path)
    DAMAGE[damage](folder)
    with caplog.at_level(logging.INFO):
        packed = open_packed(tmp_path, KEY, samples)
    assert fingerprint(packed) == fingerprint(samples)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert str(folder) in warnings[0].getMessage()
    assert warnings[0].getMessage().endswith("It is made again.")
    assert list(tmp_path.iterdir()) == [folder]


def test_half_a_cache_is_never_left(tmp_path):
    def breaks():
        yield from conformed("a")
        raise DataError("the second one is bad")

    with pytest.raises(DataError, match="the second one is bad"):
        open_packed(tmp_path, KEY, breaks())
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path):
    (small,) = [conform(make_sample("b"), CONTRACT, 8)]
    with pytest.raises(ShapeError, match=r"sample b: expected pictures of \[16, 16\] like the"):
        open_packed(tmp_path, KEY, [*conformed("a"), small])
    with pytest.raises(DataError, match="at least one sample"):
        open_packed(tmp_path, KEY, [])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="expected to write the packed cache"):
        open_packed(tmp_path / "file", KEY, conformed("a"))
    with pytest.raises(DataError, match="expected a whole packed cache"):
        PackedSamples(tmp_path, "x")


def test_a_dataset_holds_the_files_and_not_the_pictures(tmp_path):
    packed = open_packed(tmp_path, KEY, conformed("a", "bb"))
    dataset = PreparedDataset(packed)
    assert dataset.size == (16, 16)
    assert np.shares_memory(dataset[1].views[0].rgb, packed[1].views[0].rgb)
    assert [one.id for one in dataset.pick([1, 0])] == ["bb", "a"]


@pytest.fixture
def dataset(tmp_path) -> Path:
    folder = tmp_path / "data"
    write_dataset([make_sample(name, views=4) for name in ("a", "bb", "ccc")], folder)
    return folder


def opened(dataset, *more, cache="cache"):
    keys = [f"data.path={dataset}", f"data.cache={dataset.parent / cache}", "data.size=16"]
    views = ["data.views={use: view_policies.held_out, inputs: 2, held_out: 1}"]
    split = ["data.split.validation=0.4", "data.split.gap=0"]
    loaded = load_config(None, overrides=[*keys, *views, *split, *more])
    return open_data(loaded.config, load_plugins(loaded.config.plugins), CONTRACT)


def test_training_decodes_once_and_again_when_a_picture_changes(dataset, monkeypatch):
    config = load_config(None, overrides=[f"data.path={dataset}"]).config
    plain = list(open_chain(config, load_plugins(["facelift_reader"]), CONTRACT))
    first = opened(dataset)
    assert fingerprint(first.samples) == fingerprint(plain)
    assert isinstance(first.samples._samples, PackedSamples)
    decodes: list[str] = []

    def count(chain):
        decodes.append("")
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr("mfl_adapt.chain.Chain.__iter__", count)
        assert fingerprint(opened(dataset).samples) == fingerprint(plain)
        assert decodes == []
    view = plain[0].views[0]
    path = dataset / "a/images/cam_000.png"
    save_picture(path, np.full((24, 24, 3), 7, np.uint8), np.full((24, 24), 255, np.uint8))
    changed = opened(dataset).samples[0].views[0]
    assert not np.array_equal(changed.rgb, view.rgb)


def described(dataset, *more, plugins=()):
    keys = [f"data.path={dataset}", "data.size=16", *more]
    loaded = load_config(None, overrides=keys, plugins=list(plugins))
    host = load_plugins(loaded.config.plugins)
    without = [loaded.config.data.cache] if loaded.config.data.cache else []
    return describe_chain(loaded.config, host, CONTRACT, without=without)


PLUGIN = """
from pathlib import Path
from mfl_adapt.plugin import ComponentConfig, PreprocessorSpec, hookimpl

MFL_API = 1


class Config(ComponentConfig):
    masks: Path | None = None


class Same:
    def __init__(self, config):
        pass

    def __call__(self, sample):
        return sample


@hookimpl
def register_components():
    return [PreprocessorSpec(name="same", summary="Nothing.", config=Config, build="nop:Same")]
"""


def test_the_key_knows_everything_upstream(dataset, tmp_path):
    plugin, masks = tmp_path / "nop.py", tmp_path / "masks"
    plugin.write_text(PLUGIN)
    masks.mkdir()
    stage = f"data.preprocess=[{{use: nop.same, masks: '{masks}'}}]"

    def key():
        return described(dataset, stage, plugins=[str(plugin)])

    first = key()
    assert first == key()
    assert described(dataset) != first
    assert described(dataset, "data.reader={use: facelift_reader, mask: none}") != described(
        dataset
    )
    assert described(dataset, "data.limit=2") != described(dataset)
    assert described(dataset, "train.steps=7") == described(dataset)
    plugin.write_text(PLUGIN + "\n")
    second = key()
    assert second != first
    (masks / "m.png").write_bytes(b"mask")
    third = key()
    assert third != second
    (dataset / "a/opencv_cameras.json").write_text("{}")
    assert key() != third


def test_the_key_knows_nothing_of_places_and_of_the_cache_itself(dataset, tmp_path):
    moved = shutil.copytree(dataset, tmp_path / "elsewhere/moved")
    assert described(moved) == described(dataset)
    inside = f"data.cache={dataset / 'cache'}"
    before = described(dataset, inside)
    (dataset / "cache").mkdir()
    (dataset / "cache/rgb.bin").write_bytes(b"x")
    assert described(dataset, inside) == before
