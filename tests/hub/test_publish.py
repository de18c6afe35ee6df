"""Publishing an adapter: its card, what is refused, and that it arrives whole or not at all."""

import getpass
import json
import re
import shutil

import pytest
import small_adapters
from hub_stand_in import LARGE, TOKEN
from huggingface_hub import constants
from PIL import Image, PngImagePlugin
from ruamel.yaml import YAML
from small_adapters import change_passport, change_weights, contents, passport_of

from mfl_adapt.adapter import load, read_adapter
from mfl_adapt.errors import (
    AdapterError,
    ConfigError,
    DataError,
    HubError,
    StorageError,
)
from mfl_adapt.hub import Choices, Words, publish_adapter, pull_adapter
from mfl_adapt.hub import publish as publishing
from mfl_adapt.hub.registry import find_entry

# huggingface-hub's own way to send a large file warns of the HTTP library it has changed to.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

WORDS = Words(
    title="Tiny mouse",
    species="mouse",
    author="A lab",
    data="Procedural mice; anybody may have them.",
    limits="Not for rats.",
)
ADOBE = "Adobe Research License v1.2"


def to_folder(folder, registry, *, words=WORDS, **choices):
    return publish_adapter(folder, str(registry), words, Choices(**{"name": "mouse"} | choices))


def refused(error, match, folder, registry, **options):
    """A publication that must fail in one line and leave no trace of the adapter."""
    before = everything(registry)
    with pytest.raises(error, match=match) as caught:
        to_folder(folder, registry, **options)
    assert "\n" not in str(caught.value)
    assert everything(registry) == before
    return str(caught.value)


def everything(registry):
    """All files below a folder but the lock."""
    files = [path for path in registry.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if path.name != ".registry.lock"}


def card_of(registry, name="mouse"):
    return (registry / find_entry(registry, name).folder / "README.md").read_text()


def front_matter(card):
    return YAML(typ="safe").load(card.split("---\n")[1])


@pytest.mark.parametrize("kind", ["lora", "facelift", "views", "network"])
def test_every_kind_of_adapter_goes_to_a_folder_and_back(adapters, tmp_path, kind):
    done = to_folder(adapters[kind], tmp_path / "registry")
    assert done.adapter_hash == passport_of(adapters[kind])["adapter_hash"]
    assert done.revision == done.adapter_hash[:12]
    entry = find_entry(tmp_path / "registry", "mouse")
    assert entry.folder == f"mouse/{done.revision}"
    assert (entry.adapter_hash, entry.title) == (done.adapter_hash, "Tiny mouse")
    assert entry.size == done.size == sum(one.size for one in entry.files.values())
    pulled = pull_adapter("mouse", tmp_path / "pulled", registry=tmp_path / "registry")
    assert contents(pulled.folder) | {"README.md": b""} == contents(adapters[kind]) | {
        "README.md": b""
    }
    read_adapter(pulled.folder)


def test_a_pulled_adapter_works(adapters, tmp_path):
    to_folder(adapters["lora"], tmp_path / "registry")
    pull_adapter("mouse", tmp_path / "pulled", registry=tmp_path / "registry")
    base = small_adapters.make_base()
    base.id = "facelift.tiny"
    assert load(base, tmp_path / "pulled").passport == passport_of(adapters["lora"])


def test_the_card_says_what_a_stranger_must_know(adapters, tmp_path):
    to_folder(adapters["lora"], tmp_path)
    card, passport = card_of(tmp_path), passport_of(adapters["lora"])
    for text in (
        "# Tiny mouse",
        "| species | mouse |",
        "| author | A lab |",
        passport["base"]["sha256"],
        passport["adapter_hash"],
        "Procedural mice; anybody may have them.",
        "| trained on | 4 |",
        "| adapted | 21.25 [20.50, 22.00] | 19.50 | 0.625 | 0.750 |",
        "Foreground PSNR above the frozen base: +2.00 dB [1.25, 2.75].",
        "`mfl-adapt train`",
        "On heads (7 scenes)",
        "Not for rats.",
        "Apache-2.0",
        "mfl-adapt adapter pull mouse --from REGISTRY -o mouse",
    ):
        assert text in card, text
    assert front_matter(card)["license"] == "apache-2.0"
    assert front_matter(card)["tags"] == ["mfl_adapt", "gaussian-splatting", "mouse"]


def numbers(value):
    """All numbers in a JSON value."""
    if isinstance(value, dict):
        return [one for inner in value.values() for one in numbers(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in numbers(inner)]
    return [value] if isinstance(value, int | float) else []


def test_every_number_of_a_card_is_in_the_passport(adapters, tmp_path):
    to_folder(adapters["lora"], tmp_path, words=Words())
    held = numbers(passport_of(adapters["lora"]))
    known = {format(one, form) for one in held for form in (".2f", ".3f", "g")} | {"95"}
    card = re.sub(r"`[^`\n]*`", "", card_of(tmp_path).split("---\n", 2)[2])
    card = card.split("## Licence")[0].replace("SHA-256", "")
    found = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)", card))
    assert len(found) > 10
    assert found <= known


def test_a_passport_with_little_in_it_makes_a_card_without_numbers(tmp_path):
    folder = small_adapters.make_adapter(
        tmp_path / "a", metrics={}, retention={}, config={}, data={}
    )
    to_folder(folder, tmp_path / "registry", words=Words())
    card = card_of(tmp_path / "registry")
    assert "No metrics were recorded." in card
    assert "was not measured" in card
    assert "no statement about the data" in card
    assert "stated no limits" in card


# Licences.


def test_a_licence_is_inherited(adapters, tmp_path):
    done = to_folder(adapters["facelift"], tmp_path)
    assert done.licence == [ADOBE]
    card = card_of(tmp_path)
    assert "non-commercial research only" in card
    assert "Inherited from `facelift.gslrm`" in card
    front = front_matter(card)
    assert (front["license"], front["license_name"]) == ("other", "adobe-research-license-v1.2")
    assert front["base_model"] == "wlyu/OpenFaceLift"
    assert find_entry(tmp_path, "mouse").inherited == (ADOBE,)


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "CC-BY-4.0", "none"])
def test_an_inherited_licence_cannot_be_lifted(adapters, tmp_path, licence):
    words = Words(licence=licence)
    match = f"expected the licence {ADOBE} of facelift.gslrm .* got {licence}"
    refused(AdapterError, match, adapters["facelift"], tmp_path / "r", words=words)
    to_folder(adapters["facelift"], tmp_path / "r", words=Words(licence=ADOBE))


@pytest.mark.parametrize("said", [{}, "MIT", {"name": ADOBE, "inherited": []}])
def test_a_passport_that_forgot_its_licence_does_not_help(tmp_path, said):
    folder = small_adapters.make_adapter(tmp_path / "a", id="facelift.gslrm", licence=said)
    if said == "MIT":
        refused(AdapterError, "got MIT", folder, tmp_path / "r")
        return
    to_folder(folder, tmp_path / "r")
    assert "Inherited from `facelift.gslrm`" in card_of(tmp_path / "r")


def test_licences_of_a_passport_are_carried_too(tmp_path):
    other = {"name": "Lab terms", "terms": "ask us", "of": "lab.model"}
    folder = small_adapters.make_adapter(tmp_path / "a", licence={"inherited": [other]})
    done = to_folder(folder, tmp_path / "r")
    assert done.licence == ["Lab terms", "Apache-2.0"]
    assert front_matter(card_of(tmp_path / "r"))["license_name"] == "lab-terms"


def test_the_publisher_may_be_stricter_than_a_free_base(adapters, tmp_path):
    done = to_folder(adapters["lora"], tmp_path, words=Words(licence="CC-BY-NC-4.0"))
    assert done.licence == ["CC-BY-NC-4.0", "Apache-2.0"]
    assert front_matter(card_of(tmp_path))["license"] == "cc-by-nc-4.0"


def test_no_licence_at_all(tmp_path):
    folder = small_adapters.make_adapter(tmp_path / "a", id="nobody.knows")
    refused(AdapterError, "got none. Name one with --licence", folder, tmp_path / "r")
    to_folder(folder, tmp_path / "r", words=Words(licence="MIT"))
    assert front_matter(card_of(tmp_path / "r"))["license"] == "mit"


@pytest.mark.parametrize("id", ["./evil.x", "/tmp/evil.py", "evil/../x.y"])
def test_a_base_that_is_a_path_is_not_looked_up(tmp_path, id, monkeypatch):
    folder = small_adapters.make_adapter(tmp_path / "a")
    change_passport(folder, lambda passport: passport["base"].update(id=id))
    refused(AdapterError, "expected", folder, tmp_path / "r")


# What is refused.


def test_a_broken_adapter(adapter, tmp_path):
    change_weights(adapter, lambda tensor: tensor + 1)
    refused(AdapterError, "weights were changed", adapter, tmp_path / "r")
    change_weights(adapter, small_adapters.poison)
    refused(AdapterError, "finite", adapter, tmp_path / "r")
    (adapter / "passport.json").write_text("{}")
    refused(AdapterError, "schema", adapter, tmp_path / "r")
    shutil.rmtree(adapter)
    refused(AdapterError, "No such file", adapter, tmp_path / "r")


def test_a_passport_and_a_header_that_differ(adapter, tmp_path):
    passport = passport_of(adapter) | {"steps": 4}
    (adapter / "passport.json").write_text(json.dumps(passport))
    refused(AdapterError, "two that differ", adapter, tmp_path / "r")


def test_an_adapter_without_an_effect(adapter, tmp_path):
    def forget(passport):
        passport["effect"].update(change=0.0)

    change_passport(adapter, forget)
    refused(AdapterError, "effect", adapter, tmp_path / "r")


@pytest.mark.parametrize("name", ["run.py", "weights.pt", "notes.txt", "pictures", "a b.png"])
def test_other_files_beside_it(adapter, tmp_path, name):
    (adapter / name).mkdir() if name == "pictures" else (adapter / name).write_text("x")
    refused(AdapterError, f"got {name}. Move it elsewhere", adapter, tmp_path / "r")


def test_a_link_beside_it(adapter, tmp_path):
    (adapter / "a.png").symlink_to("/etc/passwd")
    refused(AdapterError, r"got a\.png", adapter, tmp_path / "r")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: p["config"]["data"].update(path="/home/anna/mice"), r"config\.data\.path"),
        (lambda p: p["environment"].update(host="C:\\anna\\x"), r"environment\.host"),
        (lambda p: p.update(note=TOKEN), "Hugging Face token"),
        (lambda p: p["config"].update(hub_token="abc"), "hub_token"),
        (lambda p: p["config"].update({TOKEN: 1}), "the keys of"),
    ],
)
def test_what_is_private_in_a_passport(adapter, tmp_path, change, match):
    change_passport(adapter, lambda passport: passport.setdefault("environment", {}))
    change_passport(adapter, change)
    said = refused(AdapterError, match, adapter, tmp_path / "r")
    assert TOKEN not in said
    assert "anna" not in said


def test_what_is_private_in_settings_and_words(adapter, tmp_path):
    settings = json.loads((adapter / "adapter_config.json").read_text())
    changed = settings | {"base_model_name_or_path": "/home/anna/base"}
    (adapter / "adapter_config.json").write_text(json.dumps(changed))
    refused(AdapterError, r"adapter_config\.json: base_model", adapter, tmp_path / "r")
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    words = Words(data=f"ask with {TOKEN}")
    refused(AdapterError, r"README\.md:\d+", adapter, tmp_path / "r", words=words)
    words = Words(limits="see /home/anna/mice/readme")
    refused(AdapterError, r"README\.md:\d+", adapter, tmp_path / "r", words=words)


def test_the_name_of_the_user(adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "annalise")
    change_passport(adapter, lambda passport: passport.update(note="run of annalise"))
    refused(AdapterError, "the name of this user", adapter, tmp_path / "r")
    to_folder(adapter, tmp_path / "r", redact=True)
    passport = passport_of(tmp_path / "r" / find_entry(tmp_path / "r", "mouse").folder)
    assert passport["note"] == "run of redacted"


@pytest.mark.parametrize("kind", ["lora", "views", "network"])
def test_redaction(adapters, tmp_path, kind):
    folder = shutil.copytree(adapters[kind], tmp_path / "a")
    change_passport(folder, lambda passport: passport["config"]["data"].update(path="/x/y/mice"))
    before = contents(folder)
    refused(AdapterError, "Add --redact", folder, tmp_path / "r")
    done = to_folder(folder, tmp_path / "r", redact=True)
    assert done.redacted
    assert contents(folder) == before
    published = tmp_path / "r" / find_entry(tmp_path / "r", "mouse").folder
    stored = read_adapter(published)  # so that header and passport agree
    assert stored.passport["config"]["data"]["path"] == "mice"
    assert stored.passport["adapter_hash"] == passport_of(adapters[kind])["adapter_hash"]
    assert b"/x/y" not in b"".join(contents(published).values())


def test_redaction_does_not_excuse_a_secret(adapter, tmp_path):
    change_passport(adapter, lambda passport: passport.update(note=TOKEN))
    refused(AdapterError, "Remove it there", adapter, tmp_path / "r", redact=True)


def test_redaction_of_nothing_changes_nothing(adapters, tmp_path):
    assert not to_folder(adapters["lora"], tmp_path, redact=True).redacted


# Pictures.


def test_pictures_lose_their_notes(adapters, tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("path", "/home/anna/mice")
    pixels = Image.linear_gradient("L").convert("RGB")
    pixels.save(tmp_path / "a mouse.png", pnginfo=notes)
    exif = Image.Exif()
    exif[0x010E] = "/home/anna/mice"
    exif[0x0112] = 6  # to be turned by 90 degrees
    pixels.resize((40, 20)).save(tmp_path / "b.jpg", exif=exif, comment=b"/home/anna")
    words = Words(pictures=(tmp_path / "a mouse.png", tmp_path / "b.jpg"))
    to_folder(adapters["lora"], tmp_path / "r", words=words)
    folder = tmp_path / "r" / find_entry(tmp_path / "r", "mouse").folder
    assert b"/home/anna" not in b"".join(contents(folder).values())
    with Image.open(folder / "a-mouse.png") as one, Image.open(folder / "b.jpg") as other:
        assert one.tobytes() == pixels.tobytes()
        assert other.size == (20, 40)
    assert "![a-mouse.png](a-mouse.png)" in card_of(tmp_path / "r")
    # Published again from there, the pictures come along.
    to_folder(folder, tmp_path / "again")
    assert "b.jpg" in find_entry(tmp_path / "again", "mouse").files


def test_pictures_that_are_none(adapters, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    (tmp_path / "c").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "c" / "b.png")
    for names, match in (
        (["a.png"], "got another file"),
        (["a.gif"], "Name a PNG or JPEG"),
        (["none.png"], "No such file"),
        (["b.png", "c/b.png"], "twice"),
    ):
        words = Words(pictures=tuple(tmp_path / name for name in names))
        refused(DataError, match, adapters["lora"], tmp_path / "r", words=words)


# Folders.


def test_publishing_twice_changes_nothing(adapters, tmp_path):
    to_folder(adapters["lora"], tmp_path)
    before = (tmp_path / "registry.toml").stat().st_mtime_ns
    to_folder(adapters["lora"], tmp_path)
    assert (tmp_path / "registry.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize("flat", [False, True])
def test_another_adapter_of_that_name(adapters, tmp_path, flat):
    to_folder(adapters["views"], tmp_path, flat=flat)
    match = "expected a new name, got that of an adapter .* add --replace"
    refused(HubError, match, adapters["other"], tmp_path, flat=flat)
    pull_adapter("mouse", tmp_path / "first", registry=tmp_path)
    to_folder(adapters["other"], tmp_path, replace=True, flat=flat)
    pulled = pull_adapter("mouse", tmp_path / "second", registry=tmp_path)
    assert pulled.adapter_hash == passport_of(adapters["other"])["adapter_hash"]
    assert len(list((tmp_path / "mouse").rglob("passport.json"))) == 1
    assert "extra_model.safetensors" not in pulled.files


def test_flat_or_not_is_decided_once(adapters, tmp_path):
    done = to_folder(adapters["lora"], tmp_path, flat=True)
    assert find_entry(tmp_path, "mouse").folder == "mouse"
    assert done.place == str(tmp_path / "mouse")
    refused(HubError, "with --flat", adapters["other"], tmp_path, replace=True)
    to_folder(adapters["lora"], tmp_path, name="rat")
    refused(
        HubError, "without --flat", adapters["other"], tmp_path, replace=True, name="rat", flat=True
    )


def test_names_and_revisions_of_a_folder(adapters, tmp_path):
    done = publish_adapter(adapters["lora"], str(tmp_path), WORDS, Choices(revision="v1.0"))
    assert (done.name, done.revision) == ("mice", "v1.0")  # that of the run
    assert find_entry(tmp_path, "mice@v1.0").folder == "mice/v1.0"
    refused(ConfigError, "--name: expected letters", adapters["lora"], tmp_path / "r", name="../x")
    refused(ConfigError, "--revision", adapters["lora"], tmp_path / "r", revision="a/b")
    refused(ConfigError, "belongs to a hub", adapters["lora"], tmp_path / "r", private=True)


def test_a_foreign_file_in_the_way(adapters, tmp_path):
    (tmp_path / "mouse").mkdir()
    (tmp_path / "mouse" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"notes\.txt"):
        to_folder(adapters["lora"], tmp_path, flat=True)
    assert (tmp_path / "mouse" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "registry.toml").exists()


def test_what_a_dead_writer_left_is_no_obstacle(adapters, tmp_path, monkeypatch):
    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "write_registry", die)
        with pytest.raises(KeyboardInterrupt):
            to_folder(adapters["lora"], tmp_path)
    assert not (tmp_path / "registry.toml").exists()
    to_folder(adapters["lora"], tmp_path)
    pull_adapter("mouse", tmp_path / "out", registry=tmp_path)


def test_a_lost_file_is_mended(adapters, tmp_path):
    to_folder(adapters["lora"], tmp_path)
    folder = tmp_path / find_entry(tmp_path, "mouse").folder
    (folder / "passport.json").unlink()
    to_folder(adapters["lora"], tmp_path)
    pull_adapter("mouse", tmp_path / "out", registry=tmp_path)


def test_a_folder_that_cannot_be_made(adapters, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="lock file"):
        to_folder(adapters["lora"], tmp_path / "file")


# The hub.


def to_hub(folder, *, to="hub:anna/mouse", words=WORDS, **choices):
    return publish_adapter(folder, to, words, Choices(**choices))


def hub_refuses(hub, match, folder, *, error=HubError, **options):
    """A publication that must fail in one line and leave the repository as it was."""
    before = (hub.commit, dict(hub.files))
    with pytest.raises(error, match=match) as caught:
        to_hub(folder, **options)
    said = str(caught.value)
    assert "\n" not in said
    assert TOKEN not in said
    assert (hub.commit, hub.files) == before


@pytest.mark.parametrize("kind", ["lora", "facelift", "views", "network"])
def test_every_kind_of_adapter_goes_to_the_hub_and_back(adapters, anna, tmp_path, kind):
    done = to_hub(adapters[kind])
    assert done.place == f"{anna.url}/anna/mouse"
    assert done.revision == anna.commit
    assert set(anna.files) == {".gitattributes", *done.files}
    assert any(len(content) >= LARGE for content in anna.files.values())
    assert anna.messages == [f"Publish adapter {done.adapter_hash[:12]}"]
    assert anna.steps[:3] == ["whoami", "create", "validate"]
    assert {"preupload", "batch", "put", "verify", "commit"} < set(anna.steps)
    pulled = pull_adapter("hub:anna/mouse", tmp_path / "pulled")
    assert (pulled.revision, pulled.adapter_hash) == (anna.commit, done.adapter_hash)
    published = {name: content for name, content in anna.files.items() if name in done.files}
    assert contents(pulled.folder) == published
    assert "mfl-adapt adapter pull hub:anna/mouse -o mouse" in published["README.md"].decode()


def test_a_private_repository(adapters, anna, tmp_path, monkeypatch):
    to_hub(adapters["lora"], private=True)
    assert anna.private
    pull_adapter("hub:anna/mouse", tmp_path / "pulled")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="got 401"):
        pull_adapter("hub:anna/mouse", tmp_path / "again")


def test_publishing_twice_makes_one_commit(adapters, anna):
    first = to_hub(adapters["lora"])
    second = to_hub(adapters["lora"])
    assert len(set(anna.files)) == 5
    assert first.adapter_hash == second.adapter_hash


def test_another_adapter_in_the_repository(adapters, anna, tmp_path):
    first = to_hub(adapters["views"])
    hub_refuses(anna, "without another adapter.*--replace", adapters["lora"])
    second = to_hub(adapters["lora"], replace=True)
    assert "extra_model.safetensors" not in anna.files
    old = pull_adapter(f"hub:anna/mouse@{first.revision}", tmp_path / "old")
    new = pull_adapter("hub:anna/mouse", tmp_path / "new")
    assert (old.adapter_hash, new.adapter_hash) == (first.adapter_hash, second.adapter_hash)


def test_a_repository_of_something_else(adapters, anna):
    anna.exists, anna.files = True, {"pytorch_model.bin": b"x" * 2000}
    hub_refuses(anna, r"got pytorch_model\.bin", adapters["lora"], replace=True)


def test_a_branch(adapters, anna, tmp_path):
    main = dict(anna.files)
    done = to_hub(adapters["lora"], revision="try-2")
    assert anna.files == main
    pulled = pull_adapter("hub:anna/mouse@try-2", tmp_path / "pulled")
    assert pulled.revision == done.revision == anna.branches["try-2"]


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ("whoami", 401),
        ("create", 403),
        ("create", 500),
        ("preupload", 404),
        ("batch", 500),
        ("put", 403),
        ("put", 500),
        ("commit", 401),
        ("commit", 403),
        ("commit", 500),
    ],
)
def test_a_hub_that_refuses(adapters, anna, step, status):
    anna.refusals[step] = status
    hub_refuses(anna, f"got {status}", adapters["lora"])
    del anna.refusals[step]
    to_hub(adapters["lora"])


def test_somebody_else_writes_at_the_same_moment(adapters, anna):
    anna.refusals["commit"] = 412
    hub_refuses(anna, "nobody else writes there, got 412", adapters["lora"])


def test_a_wrong_token_and_none(adapters, anna, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", TOKEN + "x")
    hub_refuses(anna, "got 401", adapters["lora"])
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    hub_refuses(anna, r"expected a token .* `hf auth login`", adapters["lora"])
    # As `hf auth login` leaves it.
    (tmp_path / "none").write_text(TOKEN)
    to_hub(adapters["lora"])


def test_a_hub_that_says_it_took_it_and_did_not(adapters, anna):
    anna.api_body = json.dumps({
        "id": "anna/mouse",
        "sha": anna.commit,
        "siblings": [],
        "_id": "1",
    }).encode()
    with pytest.raises(HubError, match=r"got '[0-9a-f]{40}'|expected the files that were sent"):
        to_hub(adapters["lora"])


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null"])
def test_an_answer_of_no_hub(adapters, anna, body):
    anna.exists, anna.api_body = True, body
    hub_refuses(anna, "like a model hub", adapters["lora"])


def test_no_network(adapters, anna, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub_refuses(anna, "HF_HUB_OFFLINE", adapters["lora"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    hub_refuses(anna, r"expected an answer of http://127\.0\.0\.1:1", adapters["lora"])


def test_an_endpoint_with_a_password(adapters, anna, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://anna:hunter2@example.org")
    with pytest.raises(ConfigError, match="without a user or password") as caught:
        to_hub(adapters["lora"])
    assert "hunter2" not in str(caught.value)


def test_nothing_is_asked_of_the_hub_before_the_adapter_is_in_order(adapter, anna):
    change_passport(adapter, lambda passport: passport.update(note=TOKEN))
    hub_refuses(anna, "Hugging Face token", adapter, error=AdapterError)
    assert anna.steps == []


@pytest.mark.parametrize(
    "place",
    ["hub:", "hub:mouse", "hub:a/b/c", "hub:a/b@", "hub:../b", "hub:a/b--c", "hub:a/b@../x"],
)
def test_places_that_are_none(adapters, anna, place):
    hub_refuses(anna, "expected hub:OWNER/NAME", adapters["lora"], error=ConfigError, to=place)


def test_options_of_a_folder_mean_nothing_on_a_hub(adapters, anna):
    hub_refuses(anna, "--name", adapters["lora"], error=ConfigError, name="mouse")
    hub_refuses(anna, "--flat", adapters["lora"], error=ConfigError, flat=True)


def test_the_owner_is_no_private_name(adapter, anna, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    done = to_hub(adapter)
    assert done.adapter_hash in anna.files["README.md"].decode()


def test_the_token_is_nowhere_on_the_disk(adapters, anna, tmp_path, home):
    to_hub(adapters["lora"])
    pull_adapter("hub:anna/mouse", tmp_path / "pulled")
    for folder in (tmp_path, home):
        for path in folder.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
