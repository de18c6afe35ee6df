"""Pulling an adapter: what arrives, what is refused, and what is never left behind."""

import json
import os
import shutil

import pytest
from hub_stand_in import COMMIT, Fault
from huggingface_hub import constants
from small_adapters import change_passport, change_weights, contents, passport_of, poison

from mfl_adapt.errors import AdapterError, ConfigError, HubError, StorageError
from mfl_adapt.hub import Choices, Words, publish_adapter, pull_adapter
from mfl_adapt.hub.registry import Registry, find_entry, read_registry, write_registry

WEIGHTS = "adapter_model.safetensors"
PLACE = "hub:lab/mouse"


@pytest.fixture
def mouse(hub, adapters):
    """A hub that holds an adapter."""
    hub.repository = "lab/mouse"
    hub.files = {".gitattributes": b"*.bin lfs", **contents(adapters["lora"])}
    return hub


@pytest.fixture
def registry(adapters, tmp_path):
    """A folder that holds an adapter."""
    publish_adapter(adapters["lora"], str(tmp_path / "registry"), Words(), Choices(name="mouse"))
    return tmp_path / "registry"


def refused(error, match, out, source=PLACE, **options):
    """A pull that must fail in one line and leave nothing at or beside its place."""
    before = beside(out)
    with pytest.raises(error, match=match) as caught:
        pull_adapter(source, out, **options)
    assert "\n" not in str(caught.value)
    assert beside(out) == before
    return str(caught.value)


def beside(out):
    """What lies in the folder of a place, but for the cache."""
    return sorted(path for path in out.parent.iterdir() if path.name != "home")


# From a hub.


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_from_a_hub(mouse, adapters, tmp_path, revision):
    done = pull_adapter(PLACE + revision, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(adapters["lora"])
    assert (done.revision, done.base) == (COMMIT, "facelift.tiny")
    assert done.adapter_hash == passport_of(adapters["lora"])["adapter_hash"]
    assert set(mouse.downloads()) == set(contents(adapters["lora"]))


def test_a_second_pull_downloads_nothing(mouse, tmp_path):
    pull_adapter(PLACE, tmp_path / "out")
    asked = len(mouse.asked)
    pull_adapter(PLACE, tmp_path / "out")
    pull_adapter(PLACE, tmp_path / "copy")
    assert len(mouse.asked) == asked
    assert contents(tmp_path / "out") == contents(tmp_path / "copy")


def test_it_goes_on_where_it_broke_off(mouse, tmp_path):
    size = len(mouse.files[WEIGHTS])
    mouse.faults[WEIGHTS] = [Fault(cut=5000, times=1), Fault(status=500)]
    refused(HubError, "Run the same command again", tmp_path / "out")
    mouse.faults.clear()
    mouse.asked.clear()
    pull_adapter(PLACE, tmp_path / "out")
    ((name, wish),) = [one for one in mouse.asked if one[0] == WEIGHTS]
    begun = int(wish.removeprefix("bytes=").rstrip("-"))
    assert (name, 0 < begun < size) == (WEIGHTS, True)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_hub_that_refuses(mouse, tmp_path, status):
    mouse.api_status = status
    refused(HubError, f"got {status}", tmp_path / "out")
    mouse.api_status = 200
    mouse.faults[WEIGHTS] = [Fault(status=status)]
    refused(HubError, f"lab/mouse/{WEIGHTS}: .*got {status}", tmp_path / "out")
    mouse.faults.clear()
    pull_adapter(PLACE, tmp_path / "out")


def test_a_revision_that_is_not_there(mouse, tmp_path):
    refused(HubError, "a revision that exists, got 404", tmp_path / "out", PLACE + "@v9")
    refused(HubError, "a revision that exists", tmp_path / "out", PLACE + "@" + "f" * 40)


@pytest.mark.parametrize("change", [lambda old: old[:-1] + b"?", lambda old: b"x" * len(old)])
def test_other_bytes_than_the_hub_states(mouse, tmp_path, change):
    mouse.faults[WEIGHTS] = [Fault(content=change(mouse.files[WEIGHTS]))]
    refused(HubError, "expected .* bytes with the hash", tmp_path / "out")
    mouse.faults.clear()
    pull_adapter(PLACE, tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    ["run.py", "adapter_model.bin", "adapter_model.pt", "a.pkl", "sub/passport.json", ".hidden",
     "a.png.py", "é.png", "checkpoint.safetensors", "passport.json.bak"],
)  # fmt: skip
def test_files_that_no_adapter_has(mouse, tmp_path, name):
    mouse.files[name] = b"import os"
    refused(HubError, "expected only the files of an adapter", tmp_path / "out")
    assert mouse.asked == []


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../b.png", "C:x.png"])
def test_names_that_lead_elsewhere(mouse, tmp_path, name):
    mouse.files[name] = b"x"
    refused(HubError, "plain file names", tmp_path / "out")
    assert mouse.asked == []


@pytest.mark.parametrize(
    ("name", "size"),
    [(WEIGHTS, 1 << 40), ("passport.json", 1 << 25), ("a.png", 1 << 25), ("README.md", 1 << 23)],
)
def test_files_that_are_too_large(mouse, tmp_path, name, size):
    listing = mouse.listing()
    listing["siblings"] = [one for one in listing["siblings"] if one["rfilename"] != name]
    listing["siblings"].append({"rfilename": name, "size": size, "blobId": "a" * 40})
    mouse.api_body = json.dumps(listing).encode()
    refused(HubError, f"{name} of at most", tmp_path / "out")
    assert mouse.asked == []


def test_too_many_files(mouse, tmp_path):
    mouse.files |= {f"{number}.png": b"x" for number in range(50)}
    refused(HubError, "at most 40 files", tmp_path / "out")


@pytest.mark.parametrize("name", [WEIGHTS, "passport.json", "adapter_config.json"])
def test_files_that_are_missing(mouse, tmp_path, name):
    del mouse.files[name]
    refused(HubError, f"expected an adapter with {name}", tmp_path / "out")


def test_weights_that_are_not_those_of_the_passport(mouse, adapter, tmp_path):
    change_weights(adapter, lambda tensor: tensor + 1)
    mouse.files = contents(adapter)
    said = refused(AdapterError, "weights were changed", tmp_path / "out")
    assert said.startswith(PLACE)
    change_weights(adapter, poison)
    mouse.files = contents(adapter)
    refused(AdapterError, "finite", tmp_path / "out")


def test_an_adapter_without_an_effect(mouse, adapter, tmp_path):
    change_passport(adapter, lambda passport: passport["effect"].update(change=0))
    mouse.files = contents(adapter)
    refused(AdapterError, "effect", tmp_path / "out")


def test_without_a_network(mouse, tmp_path, monkeypatch):
    refused(HubError, "pulled before", tmp_path / "out", offline=True)
    pull_adapter(PLACE, tmp_path / "first")
    asked = list(mouse.asked)
    pull_adapter(PLACE, tmp_path / "second", offline=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = pull_adapter(f"{PLACE}@{COMMIT}", tmp_path / "third")
    assert done.revision == COMMIT
    assert mouse.asked == asked
    assert contents(tmp_path / "first") == contents(tmp_path / "third")
    refused(HubError, "pulled before", tmp_path / "out", PLACE + "@v9")
    refused(HubError, "pulled before", tmp_path / "out", "hub:lab/rat")


def test_a_cache_that_was_changed(mouse, home, tmp_path):
    pull_adapter(PLACE, tmp_path / "first")
    path = home / "adapters" / "lab--mouse" / COMMIT / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    refused(HubError, "of another hash", tmp_path / "out", offline=True)
    pull_adapter(PLACE, tmp_path / "out")  # which mends it
    record = path.parent.with_name(f"{COMMIT}.files.json")
    record.write_text("[]")
    refused(HubError, "damaged record", tmp_path / "again", offline=True)
    record.with_name("revisions.json").write_text("?")
    refused(HubError, "pulled before", tmp_path / "again", offline=True)
    pull_adapter(PLACE, tmp_path / "again")


def test_a_branch_that_moved_on(mouse, adapters, tmp_path):
    first = pull_adapter(PLACE, tmp_path / "first")
    mouse.history[COMMIT] = mouse.files
    mouse.commit, mouse.files = "a" * 40, contents(adapters["other"])
    second = pull_adapter(PLACE, tmp_path / "second")
    assert first.adapter_hash != second.adapter_hash
    refused(StorageError, "expected a free name", tmp_path / "first")
    assert pull_adapter(f"{PLACE}@{COMMIT}", tmp_path / "old").adapter_hash == first.adapter_hash


def test_no_hub_at_all(mouse, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    refused(HubError, "expected an answer", tmp_path / "out")
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    refused(ConfigError, "HF_ENDPOINT", tmp_path / "out")


# From a folder.


def test_from_a_registry(registry, adapters, tmp_path):
    done = pull_adapter("mouse", tmp_path / "deep" / "out", registry=registry)
    entry = find_entry(registry, "mouse")
    assert (done.revision, done.licence) == (entry.revision, "Apache-2.0")
    assert contents(done.folder) == contents(registry / entry.folder)
    pull_adapter("mouse", tmp_path / "deep" / "out", registry=registry)


def test_from_a_plain_folder(adapters, tmp_path):
    done = pull_adapter(str(adapters["views"]), tmp_path / "out")
    assert contents(done.folder) == contents(adapters["views"])
    assert done.revision == ""


def test_a_registry_whose_files_differ(registry, tmp_path):
    folder = registry / find_entry(registry, "mouse").folder
    path = folder / WEIGHTS
    before = path.read_bytes()
    for content, match in (
        (before[:-1] + b"?", "of another hash"),
        (before[:-1], "of another hash"),
        (before + b"?", "got more of another hash"),
    ):
        path.write_bytes(content)
        refused(HubError, match, tmp_path / "out", "mouse", registry=registry)
    path.unlink()
    refused(HubError, "No such file", tmp_path / "out", "mouse", registry=registry)
    path.symlink_to("/etc/passwd")
    refused(HubError, "got a link", tmp_path / "out", "mouse", registry=registry)
    path.unlink()
    os.mkfifo(path)
    refused(HubError, "got something else", tmp_path / "out", "mouse", registry=registry)


def test_a_registry_that_names_another_adapter(registry, tmp_path):
    entry = find_entry(registry, "mouse")
    for change in ({"adapter_hash": "a" * 64}, {"base": "facelift.gslrm"}, {"base_sha256": "b"}):
        changed = Registry(adapters={"mouse": entry.model_copy(update=change)})
        write_registry(registry, changed)
        refused(HubError, "Ask who keeps", tmp_path / "out", "mouse", registry=registry)


def test_a_registry_with_a_link_for_a_folder(registry, tmp_path):
    entry = find_entry(registry, "mouse")
    shutil.move(registry / "mouse", tmp_path / "elsewhere")
    (registry / "mouse").symlink_to(tmp_path / "elsewhere")
    refused(HubError, "got the link mouse", tmp_path / "out", "mouse", registry=registry)
    (registry / "mouse").unlink()
    (registry / "mouse").mkdir()
    (registry / entry.folder).symlink_to(tmp_path / "elsewhere" / entry.revision)
    refused(HubError, "got the link", tmp_path / "out", "mouse", registry=registry)
    assert read_registry(registry)


@pytest.mark.parametrize("name", ["run.py", "weights.pt", "sub"])
def test_a_plain_folder_with_other_files(adapter, tmp_path, name):
    (adapter / name).mkdir() if name == "sub" else (adapter / name).write_text("x")
    match = "expected only the files of an adapter"
    refused(HubError, match, tmp_path / "out", str(adapter))


def test_a_plain_folder_with_a_link(adapter, tmp_path):
    (adapter / "a.png").symlink_to("/etc/passwd")
    refused(HubError, "got a link", tmp_path / "out", str(adapter))


def test_a_plain_folder_that_is_broken(adapter, tmp_path):
    change_weights(adapter, poison)
    said = refused(AdapterError, "finite", tmp_path / "out", str(adapter))
    assert ".pull" not in said


@pytest.mark.parametrize(
    ("source", "options", "error", "match"),
    [
        ("nowhere", {}, AdapterError, "No such file"),
        ("hub:mouse", {}, ConfigError, "hub:OWNER/NAME"),
        ("rat", {"registry": True}, HubError, "expected an adapter 'rat'"),
        ("../mouse", {"registry": True}, ConfigError, "expected the name"),
        (PLACE, {"registry": True}, ConfigError, "expected the name"),
        ("mouse@2", {"registry": True}, HubError, "at revision '2'"),
    ],
)
def test_sources_that_are_none(registry, tmp_path, monkeypatch, source, options, error, match):
    monkeypatch.chdir(tmp_path)
    options = dict.fromkeys(options, registry)
    refused(error, match, tmp_path / "out", source, **options)


# Where it goes.


def test_something_else_is_in_its_place(registry, adapters, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    pull_adapter("mouse", out, registry=registry)  # an empty folder is no obstacle
    (out / "notes.txt").write_text("mine")
    refused(StorageError, "expected a free name", out, "mouse", registry=registry)
    assert (out / "notes.txt").read_text() == "mine"
    shutil.rmtree(out)
    out.write_text("mine")
    refused(StorageError, "expected a free name", out, "mouse", registry=registry)
    out.unlink()
    out.symlink_to(tmp_path / "registry")
    refused(StorageError, "expected a free name", out, "mouse", registry=registry)


def test_a_strangers_words_cannot_steer_a_terminal(adapter, tmp_path):
    change_passport(adapter, lambda passport: passport["base"].update(id="\x1b[2Jtiny"))
    change_passport(adapter, lambda passport: passport.update(licence="MIT\n\x1b[1A"))
    done = pull_adapter(str(adapter), tmp_path / "out")
    assert (done.base, done.licence) == ("?[2Jtiny", "MIT??[1A")


def test_a_disk_that_is_full(registry, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    refused(StorageError, "No space left", tmp_path / "out", "mouse", registry=registry)


def test_an_interruption_leaves_nothing(registry, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        pull_adapter("mouse", tmp_path / "out", registry=registry)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry"]
