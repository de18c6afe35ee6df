"""A folder of adapters with an index: its format, its writers, and the one in this repository."""

import hashlib
import json
import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import small_adapters
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from mfl_adapt.adapter import load, read_adapter
from mfl_adapt.errors import ConfigError, HubError, StorageError
from mfl_adapt.hub import Choices, Words, publish_adapter, pull_adapter
from mfl_adapt.hub.lock import alone
from mfl_adapt.hub.registry import (
    INDEX,
    Entry,
    IndexedFile,
    Registry,
    check_name,
    dump_registry,
    find_entry,
    read_registry,
    write_registry,
)
from mfl_adapt.pipeline import open_base_of

SHIPPED = ROOT / "adapters"
FILES = {
    name: IndexedFile(size=3, sha256="a" * 64)
    for name in ("README.md", "adapter_config.json", "adapter_model.safetensors", "passport.json")
}
ENTRY = Entry(
    folder="mouse/1",
    revision="1",
    adapter_hash="b" * 64,
    base="facelift.tiny",
    base_sha256="c" * 64,
    licence="Apache-2.0",
    inherited=("Apache-2.0",),
    size=12,
    files=FILES,
    title='A "mouse"\\',
)


def test_an_index_round_trips(tmp_path):
    registry = Registry(adapters={"mouse": ENTRY, "rat.2": ENTRY})
    write_registry(tmp_path, registry)
    assert read_registry(tmp_path) == registry
    assert find_entry(tmp_path, "mouse") == find_entry(tmp_path, "mouse@1") == ENTRY
    assert find_entry(tmp_path, f"mouse@{'b' * 64}") == ENTRY


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_any_text_survives_the_index(title):
    registry = Registry(adapters={"mouse": ENTRY.model_copy(update={"title": title})})
    try:
        text = dump_registry(registry).encode()
    except UnicodeEncodeError:  # half of a pair of surrogates is no text
        return
    assert Registry.model_validate(tomllib.loads(text.decode())) == registry


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"folder": "../mouse"}, "folder"),
        ({"folder": "/mouse"}, "folder"),
        ({"folder": "mouse/../../x"}, "folder"),
        ({"folder": "a/b/c"}, "folder"),
        ({"folder": ".git"}, "folder"),
        ({"adapter_hash": "b" * 63}, "adapter_hash"),
        ({"size": -1}, "size"),
        ({"size": "12"}, "size"),
        ({"code": "run me"}, "code"),
        (
            {"files": {**ENTRY.model_dump()["files"], "run.py": {"size": 1, "sha256": "a" * 64}}},
            "run",
        ),
        (
            {"files": {**ENTRY.model_dump()["files"], "../x.png": {"size": 1, "sha256": "a" * 64}}},
            "x",
        ),
        (
            {"files": {**ENTRY.model_dump()["files"], "a.pt": {"size": 1, "sha256": "a" * 64}}},
            "a.pt",
        ),
        ({"files": {"passport.json": {"size": 1 << 30, "sha256": "a" * 64}}}, "passport.json"),
        ({"files": {"passport.json": {"size": 1, "sha256": "a" * 64}}}, "safetensors"),
    ],
)
def test_an_index_that_names_something_else_is_refused(tmp_path, change, match):
    broken = ENTRY.model_dump() | change
    write_registry(tmp_path, Registry())
    text = (tmp_path / INDEX).read_text()
    files = broken.pop("files")
    text += "[adapters.mouse]\n"
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in broken.items())
    for name, one in files.items():
        text += (
            f'[adapters.mouse.files."{name}"]\nsize = {one["size"]}\nsha256 = "{one["sha256"]}"\n'
        )
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(HubError, match=match) as caught:
        read_registry(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "schema"),
        (b"schema = 'mfl_adapt.registry/2'", "mfl_adapt.registry/1"),
        (b"schema = ", "expected TOML"),
        (b"\xff", "expected TOML"),
        (b"a = " + b"[" * 5000, "expected TOML"),
        (b"schema = 'mfl_adapt.registry/1'\n[adapters.'../x']", "adapters"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path, content, match):
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(HubError, match=match) as caught:
        read_registry(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_index_and_no_such_adapter(tmp_path):
    with pytest.raises(HubError, match=r"No such file or directory\. Name the folder"):
        find_entry(tmp_path, "mouse")
    write_registry(tmp_path, Registry(adapters={"mouse": ENTRY}))
    with pytest.raises(HubError, match=r"got none of that name\. Did you mean 'mouse'\?"):
        find_entry(tmp_path, "mose")
    with pytest.raises(HubError, match="'mouse' at revision '2', got '1'"):
        find_entry(tmp_path, "mouse@2")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".a", "a b", "a..b", "-a", "é", "x" * 97])
def test_names_that_could_be_no_folder(name):
    with pytest.raises(ConfigError, match="--name: expected letters"):
        check_name(name, "--name")


def test_one_writer_at_a_time(tmp_path):
    refused = pytest.raises(StorageError, match="another process that does")
    with alone(tmp_path / "lock"), refused, alone(tmp_path / "lock", patience_s=0):
        pass
    with alone(tmp_path / "lock", patience_s=0):
        pass


def publish_one(folder, registry, name):
    """What one of several writers does."""
    publish_adapter(folder, str(registry), Words(), Choices(name=name))


def test_several_writers_lose_nothing(tmp_path):
    folder = small_adapters.make_adapter(tmp_path / "adapter")
    registry = tmp_path / "registry"
    names = ["mouse-1", "mouse-2", "mouse-3", "mouse-4"]
    with ThreadPoolExecutor(len(names)) as writers:  # the lock tells files apart, not processes
        list(writers.map(partial(publish_one, folder, registry), names))
    assert sorted(read_registry(registry).adapters) == names
    for name in names:
        pull_adapter(name, tmp_path / name, registry=registry)


def test_a_writer_that_cannot_write_leaves_the_index(tmp_path, monkeypatch):
    registry = tmp_path / "registry"
    publish_one(small_adapters.make_adapter(tmp_path / "a"), registry, "mouse")
    before = (registry / INDEX).read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    folder = small_adapters.make_adapter(tmp_path / "b", seed=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="No space left"):
            publish_one(folder, registry, "rat")
    assert (registry / INDEX).read_bytes() == before
    publish_one(folder, registry, "rat")
    assert sorted(read_registry(registry).adapters) == ["mouse", "rat"]


def entries():
    """The adapters of this repository; none as long as there is no index."""
    return read_registry(SHIPPED).adapters if (SHIPPED / INDEX).exists() else {}


def test_every_folder_of_this_repository_is_in_its_index():
    folders = {
        path.parent.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("passport.json")
    }
    assert folders == {entry.folder for entry in entries().values()}
    assert entries() or not (SHIPPED / INDEX).exists()


@pytest.mark.parametrize("name", entries())
def test_every_adapter_of_this_repository_is_what_its_index_says(name, tmp_path):
    entry = entries()[name]
    folder = SHIPPED / entry.folder
    assert {path.name for path in folder.iterdir()} == entry.files.keys()
    for file, facts in entry.facts().items():
        content = (folder / file).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (facts.size, facts.sha256)
    assert entry.size == sum(one.size for one in entry.files.values())
    pulled = pull_adapter(name, tmp_path / "pulled", registry=SHIPPED)
    assert pulled.adapter_hash == entry.adapter_hash


@pytest.mark.parametrize("name", entries())
def test_every_adapter_of_this_repository_works_on_its_base(name):
    folder = SHIPPED / entries()[name].folder
    stored = read_adapter(folder)
    base = open_base_of(stored.passport, where=str(folder))
    assert (base.id, base.sha256) == (entries()[name].base, entries()[name].base_sha256)
    bare = base.probe()
    adapter = load(base, folder)  # measures the effect again
    change = float((base.probe() - bare).abs().max())
    assert change == pytest.approx(stored.passport["effect"]["change"], rel=1e-3)
    assert change > 0
    adapter.remove()
    assert (base.probe() == bare).all()


@pytest.mark.parametrize("name", entries())
def test_every_card_of_this_repository_says_what_a_user_must_know(name):
    card = (SHIPPED / entries()[name].folder / "README.md").read_text(encoding="utf-8")
    for heading in ("Data", "Metrics", "Base's own domain", "Limits", "Licence", "Use"):
        assert f"\n## {heading}\n" in card
    assert "No metrics were recorded" not in card
    assert all(licence in card for licence in entries()[name].inherited)


def test_the_page_about_the_adapters_names_them_all():
    page = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE)) >= set(entries())
