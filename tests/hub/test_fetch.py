"""Fetching from a stand-in hub: what arrives, what is refused, and what is never left behind."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections import namedtuple

import pytest
from hub_calls import GSLRM, VIEWS, fetch
from hub_stand_in import COMMIT, Fault
from huggingface_hub import constants

from mfl_adapt.errors import CheckpointError, ConfigError, HubError, MflAdaptError, StorageError
from mfl_adapt.models.fetched import find_home, locate, read_fetched

CHECKPOINT = "gslrm/ckpt_0000000000021125.pt"
WEIGHTS = "mvdiffusion/pipeckpts/unet/weights.bin"
CONFIG = "mvdiffusion/pipeckpts/unet/config.json"
OTHER = "f" * 40


def refused(error, match, id=GSLRM, **options):
    """A fetch that must fail in one line and leave no base behind."""
    with pytest.raises(error, match=match) as caught:
        fetch(id, **options)
    assert "\n" not in str(caught.value)
    assert read_fetched(id) is None
    assert not (find_home() / "bases" / id).exists()
    return str(caught.value)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file(hub, home):
    path, fetched = fetch()
    assert path == home / "bases" / GSLRM / "weights" / "ckpt_0000000000021125.pt"
    assert path.read_bytes() == hub.files[CHECKPOINT]
    assert (fetched.repository, fetched.commit) == (hub.repository, COMMIT)
    assert (fetched.revision, fetched.entry) == ("main", path.name)
    assert fetched.files[path.name].sha256 == sha256(hub.files[CHECKPOINT])
    assert fetched.files[path.name].size == 256 * 40
    assert hub.downloads() == [CHECKPOINT]
    assert locate(GSLRM) == (path, fetched)


def test_a_folder(hub, home):
    path, fetched = fetch(VIEWS)
    assert path == home / "bases" / VIEWS / "weights"
    prefix = "mvdiffusion/pipeckpts/"
    expected = {k.removeprefix(prefix): v for k, v in hub.files.items() if k.startswith(prefix)}
    names = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()}
    assert names == set(fetched.files) == set(expected)
    for name, content in expected.items():
        assert (path / name).read_bytes() == content
        assert fetched.files[name].sha256 == sha256(content)
    assert sorted(one.name for one in path.parent.iterdir()) == ["fetched.json", "weights"]
    assert sorted(one.name for one in path.parent.parent.iterdir()) == [VIEWS]


def test_licence_is_asked_for_once(hub, home):
    message = refused(ConfigError, "accept the Adobe Research License", accept_licence=False)
    assert "non-commercial research only" in message
    assert f"{hub.url}/{hub.repository}" in message
    assert not home.exists()
    assert hub.asked == []
    fetch()
    record = json.loads((home / "licences.json").read_text())
    assert list(record) == ["wlyu/OpenFaceLift: Adobe Research License v1.2"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", next(iter(record.values())))
    fetch(VIEWS, accept_licence=False)  # the same licence of the same repository
    fetch(VIEWS)
    assert json.loads((home / "licences.json").read_text()) == record


def test_damaged_record_of_licences(hub, home):
    home.mkdir()
    for content in ("{", "[1]"):
        (home / "licences.json").write_text(content)
        refused(StorageError, r"licences\.json: expected .* Delete it", accept_licence=False)


def test_a_base_that_ships_has_nothing_to_fetch(home):
    refused(ConfigError, r"^facelift\.tiny: expected a base with weights to fetch", "facelift.tiny")


def test_second_fetch_needs_no_network(hub):
    first = fetch()
    hub.api_status = 500
    assert fetch() == first
    assert fetch(revision=COMMIT) == first
    assert hub.downloads() == [CHECKPOINT]


def test_branch_that_moved_on_is_refused(hub):
    _, before = fetch()
    hub.commit, hub.files[CHECKPOINT] = OTHER, b"x" * 2000
    with pytest.raises(CheckpointError, match=f"expected commit {COMMIT}.*got {OTHER} for .*main"):
        fetch(revision="main")
    with pytest.raises(CheckpointError, match=f"expected commit {COMMIT}.*got {OTHER}"):
        fetch(revision=OTHER)
    assert fetch()[1] == before


def test_branch_that_did_not_move_changes_nothing(hub):
    before = fetch()
    assert fetch(revision="main") == before
    assert hub.downloads() == [CHECKPOINT]


def test_a_commit_can_be_named(hub):
    assert fetch(revision=COMMIT)[1].revision == COMMIT
    hub.commit = OTHER
    refused(HubError, "expected a revision that exists, got 404", VIEWS, revision=COMMIT)


def test_a_server_that_answers_with_another_commit(hub):
    hub.api_body = json.dumps({**hub.listing(), "sha": OTHER}).encode()
    refused(HubError, f"expected the commit of revision '{COMMIT}', got '{OTHER}'", revision=COMMIT)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "lets us in, got 401. Ask for access there, and put a token into HF_TOKEN"),
        (403, "lets us in, got 403. Ask for access"),
        (404, "has this, got 404. Check the name"),
        (429, "got 429. It asks for patience"),
        (500, "got 500. The hub has a fault of its own. Run the same command again"),
        (503, "got 503. The hub has a fault of its own"),
    ],
)
@pytest.mark.parametrize("place", ["listing", "file"])
def test_refusals_of_the_hub(hub, status, message, place):
    if place == "listing":
        hub.api_status = status
        where = "wlyu/OpenFaceLift at main"
    else:
        hub.faults[CHECKPOINT] = [Fault(status=status)]
        where = f"wlyu/OpenFaceLift/{CHECKPOINT}"
    assert message in refused(HubError, f"^{re.escape(where)}: expected of {hub.url}")


def test_unknown_revision(hub):
    refused(HubError, "at gone: expected a revision that exists, got 404", revision="gone")


def test_files_that_are_not_where_they_were(hub):
    hub.files = {"elsewhere/a.pt": b"a", "README.md": b"b"}
    refused(HubError, f"expected {CHECKPOINT}, found README.md, elsewhere/a.pt. Choose another")


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"[1, 2]", b"{}", b'{"sha": 3}'])
def test_a_server_that_is_no_hub(hub, body):
    hub.api_body = body
    refused(HubError, "(like a model hub|expected the commit)")


@pytest.mark.parametrize("name", ["unet/../../../../evil", "/etc/evil", "unet//evil", "c:\\evil"])
def test_names_that_lead_out_of_the_folder(hub, name):
    hub.files["mvdiffusion/pipeckpts/" + name] = b"evil"
    refused(HubError, "expected plain file names, got .* Do not trust that server", VIEWS)


@pytest.mark.parametrize("missing", ["size", "blobId"])
def test_a_hub_that_does_not_say_what_files_are(hub, missing):
    listing = hub.listing()
    for one in listing["siblings"]:
        del one[missing]
    hub.api_body = json.dumps(listing).encode()
    refused(HubError, "expected the hub to state size and hash, got none", VIEWS)


def test_connection_that_breaks_is_taken_up_at_once(hub):
    hub.faults[CHECKPOINT] = [Fault(cut=3000, times=2)]
    path, _ = fetch()
    assert path.read_bytes() == hub.files[CHECKPOINT]
    assert [wish for _, wish in hub.asked] == [None, "bytes=3000-", "bytes=6000-"]


def test_download_that_broke_off_goes_on_in_the_next_call(hub, home):
    hub.faults[WEIGHTS] = [Fault(cut=2000, times=1), Fault(status=503)]
    refused(HubError, "got 503", VIEWS)
    (begun,) = home.rglob("partial/unet/weights.bin")
    assert begun.stat().st_size == 2000
    hub.faults.clear()
    hub.asked.clear()
    path, _ = fetch(VIEWS, accept_licence=False)
    assert (path / "unet/weights.bin").read_bytes() == hub.files[WEIGHTS]
    assert hub.asked == [(WEIGHTS, "bytes=2000-")]  # what was whole is not fetched again
    assert not list(home.rglob("*partial*"))


def test_half_of_another_commit_is_not_continued(hub, home):
    hub.faults[CHECKPOINT] = [Fault(cut=2000, times=1), Fault(status=503)]
    refused(HubError, "got 503")
    hub.faults.clear()
    hub.asked.clear()
    hub.commit, hub.files[CHECKPOINT] = OTHER, b"x" * 9000
    path, fetched = fetch()
    assert (path.read_bytes(), fetched.commit) == (b"x" * 9000, OTHER)
    assert hub.asked == [(CHECKPOINT, None)]
    assert not list(home.rglob("*partial*"))


def test_server_that_cannot_send_the_rest(hub):
    hub.faults[CHECKPOINT] = [Fault(cut=3000, times=1), Fault(whole=True)]
    path, _ = fetch()
    assert path.read_bytes() == hub.files[CHECKPOINT]


@pytest.mark.parametrize("size", [0, 4000, 20_000])
def test_body_of_another_length(hub, size):
    hub.faults[CHECKPOINT] = [Fault(content=b"y" * size)]
    refused(HubError, f"expected 10240 bytes with the hash .*, got {size} others, which were")
    hub.faults.clear()
    hub.asked.clear()
    assert fetch()[0].read_bytes() == hub.files[CHECKPOINT]
    assert hub.asked == [(CHECKPOINT, None)]


@pytest.mark.parametrize(("id", "name"), [(GSLRM, CHECKPOINT), (VIEWS, CONFIG)])
def test_content_with_another_hash_is_thrown_away(hub, home, id, name):
    hub.faults[name] = [Fault(content=b"z" * len(hub.files[name]))]
    refused(HubError, f"{name}: expected .* that the hub states, got .* trust neither", id)
    kept = [one for one in home.rglob("*") if one.is_file() and b"zzz" in one.read_bytes()]
    assert kept == []
    hub.faults.clear()
    fetch(id)


@pytest.mark.parametrize("size", [256 * 40, 30_000])
def test_beginning_that_is_already_long_enough(hub, home, size):
    begun = home / "bases" / f"{GSLRM}.partial" / COMMIT / "partial" / "ckpt_0000000000021125.pt"
    begun.parent.mkdir(parents=True)
    begun.write_bytes((hub.files[CHECKPOINT] * 3)[:size])
    assert fetch()[0].read_bytes() == hub.files[CHECKPOINT]
    assert hub.asked == ([] if size == 256 * 40 else [(CHECKPOINT, None)])


def test_server_that_knows_no_rest(hub, home):
    hub.faults[CHECKPOINT] = [Fault(cut=3000, times=1), Fault(status=416)]
    refused(HubError, "got 416")
    hub.faults.clear()
    hub.asked.clear()
    fetch()
    assert hub.asked == [(CHECKPOINT, None)]  # such a beginning is of no use


def test_server_that_is_not_there(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of the discard service
    refused(HubError, r"expected an answer of http://127\.0\.0\.1:9, got \w+ .* it goes on where")


@pytest.mark.parametrize("address", ["hub.example", "ftp://hub.example", "http://", "http://[x"])
def test_address_that_is_none(home, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    refused(ConfigError, "^HF_ENDPOINT: expected http://HOST or https://HOST, got")


@pytest.mark.parametrize("by", ["option", "variable"])
def test_offline(hub, home, monkeypatch, by):
    if by == "variable":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = by == "option"
    refused(CheckpointError, "expected fetched weights at .* in offline mode", offline=offline)
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    before = fetch(VIEWS)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", by == "variable")
    assert fetch(VIEWS, offline=offline) == before
    with pytest.raises(CheckpointError, match="in offline mode, got another one"):
        fetch(VIEWS, offline=offline, revision=OTHER)
    (before[0] / "unet/weights.bin").unlink()
    with pytest.raises(CheckpointError, match=r"got 1 of them missing .*\(unet/weights\.bin\)"):
        fetch(VIEWS, offline=offline)


def test_fetch_mends_what_was_damaged(hub):
    path, before = fetch(VIEWS)
    (path / "unet/weights.bin").write_bytes(b"rubbish")
    (path / "model_index.json").unlink()
    with pytest.raises(CheckpointError, match=r"model_index\.json: expected a fetched file"):
        locate(VIEWS)
    hub.asked.clear()
    assert fetch(VIEWS) == (path, before)
    assert hub.downloads() == ["mvdiffusion/pipeckpts/model_index.json", WEIGHTS]
    assert (path / "unet/weights.bin").read_bytes() == hub.files[WEIGHTS]


def test_something_else_at_the_place(hub, home):
    place = home / "bases" / GSLRM
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="expected nothing at this place"):
        fetch()
    assert (place / "mine.txt").read_text() == "mine"
    shutil.rmtree(place)
    fetch()
    assert hub.downloads() == [CHECKPOINT]  # what was downloaded was kept


def test_another_process_that_fetches(hub, home):
    folder = home / "bases" / f"{GSLRM}.partial"
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        refused(StorageError, "expected to fetch here alone, got another process")
    finally:
        os.close(handle)
    fetch()


def test_disk_that_is_too_small(hub, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 10_239, 10_239)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    refused(StorageError, r"expected room for 10\.2 kB, got 10\.2 kB. Make room, or set MFL_HOME")
    assert hub.asked == []


def test_disk_that_fills_up(hub, monkeypatch):
    def fill(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mfl_adapt.hub.download.http_get", fill)
    refused(StorageError, "expected to keep this file on disk, got .*No space left")


def test_home_that_cannot_be_written(hub, home):
    home.write_text("a file")
    with pytest.raises(MflAdaptError) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert home.read_text() == "a file"


def test_place_of_fetched_files(monkeypatch, tmp_path):
    monkeypatch.delenv("MFL_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_home() == tmp_path / ".cache" / "mfl_adapt"
    monkeypatch.setenv("MFL_HOME", "~/models")
    assert find_home() == tmp_path / "models"


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: "{",
        lambda content: "[]",
        lambda content: json.dumps({**content, "files": {"a": {}}}),
        lambda content: json.dumps({**content, "entry": "b.pt"}),
        lambda content: json.dumps({**content, "more": 1}),
        lambda content: json.dumps({"files": {}}),
    ],
)
def test_damaged_record_of_a_download(hub, home, edit):
    fetch()
    record = home / "bases" / GSLRM / "fetched.json"
    record.write_text(edit(json.loads(record.read_text())))
    with pytest.raises(CheckpointError, match=r"fetched\.json: expected the record .* Delete"):
        fetch()
