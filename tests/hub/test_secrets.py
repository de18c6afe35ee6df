"""What must not be published is found, named without being shown, and redacted where it can be."""

import getpass
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfl_adapt.errors import AdapterError
from mfl_adapt.hub.secrets import (
    check_clean,
    private_names,
    redact_json,
    redact_text,
    scan_json,
    scan_text,
)

# Put together here, so that nobody's scanner takes this file for a leak.
SECRETS = [
    "hf_" + "aB3dE6gH9" * 4,
    "ghp_" + "aB3dE6gH9" * 4,
    "github_pat_" + "aB3dE6gH9_" * 4,
    "glpat-" + "aB3dE6gH9-" * 2,
    "AKIA" + "ABCDEFGH12345678",
    "ASIA" + "ABCDEFGH12345678",
    "sk-" + "aB3dE6gH9" * 4,
    "sk-proj-" + "aB3dE6gH9-" * 4,
    "AIza" + "aB3dE6gH9" * 4,
    "xoxb-" + "123456789-abc",
    "eyJ" + "hbGciOiJIUzI1" + ".eyJ" + "zdWIiOiIxMjM0" + ".abc",
    "-----BEGIN " + "PRIVATE KEY-----",
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "https://anna:" + "hunter2@example.org/data",
    "postgres://:" + "hunter2@db/mice",
    "password" + "=hunter22",
    "api_key: " + "'hunter22'",
]
PATHS = {
    "/home/anna/mice": "mice",
    "/data": "data",
    "/scratch/my mice/day 1": "day 1",
    "/Users/anna/x.npz": "x.npz",
    "C:\\Users\\anna\\mice": "mice",
    "D:/mice": "mice",
    "\\\\server\\share\\mice": "mice",
    "file:///home/anna/mice": "mice",
    "~/mice": "mice",
    "~anna/mice": "mice",
    "/home/anna/": "anna",
}
HARMLESS = [
    "",
    "facelift.tiny",
    "runs/quickstart",
    "../mice/day 1",
    "mean and/or median",
    "https://huggingface.co/wlyu/OpenFaceLift",
    "https://example.org:8080/a/b",
    "transformer_layers.*",
    "3 / 4",
    "/",
    "~ 5 mice",
    "10:30",
    "a: b",
    "hf_hub",
    "tokens are read from HF_TOKEN",
    "linux x86_64",
    "sk-learn",
    "2026-01-02T03:04:05Z",
    "password",
    "f" * 64,
    "| --- | ---: |",
    "`adapter pull tiny-mouse --from adapters -o out/`",
    "mice_20/7/day",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_found_in_texts_and_values(secret):
    (leak, *_) = scan_text(f"first\nsee {secret} there", "README.md")
    assert (leak.kind, leak.where) == ("secret", "README.md:2")
    (leak, *_) = scan_json({"a": [{"b": f"x {secret}"}]}, "passport.json")
    assert (leak.kind, leak.where) == ("secret", "passport.json: a[0].b")
    (leak, *_) = scan_json({f"x {secret}": {"a": secret}}, "passport.json")
    assert leak.kind == "secret"


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_not_shown(secret):
    for place in ({"note": secret}, {secret: {"a": "/home/anna"}}, {"b": {secret: [secret]}}):
        leaks = scan_json(place, "passport.json")
        assert not any(secret in leak.where + leak.what for leak in leaks)
    with pytest.raises(AdapterError, match="Remove it there") as caught:
        check_clean(leaks, "adapter")
    said = str(caught.value)
    assert "\n" not in said
    assert secret not in said
    assert secret[5:12] not in said


@pytest.mark.parametrize("path", PATHS)
def test_absolute_paths_are_found_and_shortened(path):
    (leak,) = scan_json({"config": {"data": {"path": path}}}, "passport.json")
    assert (leak.kind, leak.where) == ("path", "passport.json: config.data.path")
    assert redact_json({"data": {"path": path}}) == {"data": {"path": PATHS[path]}}


def test_paths_inside_a_text_are_found_and_shortened():
    text = "made of /home/anna/mice and D:\\mice\\b by ~/tools/x."
    assert [one.kind for one in scan_text(text, "README.md")] == ["path"] * 3
    assert redact_text(text) == "made of mice and b by x."


def test_messages_show_no_more_than_the_end_of_a_path():
    leaks = scan_json({"path": "/home/anna/mice"}, "passport.json")
    with pytest.raises(AdapterError, match=r"\.\.\./mice\) in passport.json: path\. Add --redact"):
        check_clean(leaks, "adapter")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_is_left_alone(text):
    assert scan_text(text, "README.md", ["anna"]) == []
    assert scan_json({"a": text}, "passport.json", ["anna"]) == []
    assert redact_text(text, ["anna"]) == text


@pytest.mark.parametrize("key", ["password", "hub_token", "apiKey", "api_key", "AWS_SECRET"])
def test_values_under_telling_keys_are_secrets(key):
    (leak,) = scan_json({"track": {key: "plain word"}}, "passport.json")
    assert (leak.kind, leak.where) == ("secret", f"passport.json: track.{key}")
    assert "plain word" not in leak.what


@pytest.mark.parametrize("value", [None, "", 3, [], {}, False])
def test_telling_keys_without_a_text_are_none(value):
    assert scan_json({"token": value, "alora_invocation_tokens": "x"}, "a.json") == []


def test_names_of_users_and_machines():
    text = "trained by Anna on gpu-17, not by Annabel"
    kinds = [one.kind for one in scan_text(text, "README.md", ["anna", "gpu-17"])]
    assert kinds == ["name", "name"]
    said = redact_text(text, ["anna", "gpu-17"])
    assert said == "trained by redacted on redacted, not by Annabel"


def test_which_names_are_private(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "annalise")
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-17.lab.org")
    assert private_names() == {"annalise", "gpu-17.lab.org", "gpu-17"}
    assert private_names(["Annalise"]) == {"gpu-17.lab.org", "gpu-17"}
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    monkeypatch.setattr(socket, "gethostname", lambda: "pc")
    assert private_names() == set()


def test_a_user_without_a_name(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-17")
    assert private_names() == {"gpu-17"}


def test_the_worst_is_told_first_with_the_number_of_all():
    leaks = scan_json({"a": "/home/anna/mice", "b": SECRETS[0]}, "passport.json")
    with pytest.raises(AdapterError, match=r"token .* in passport.json: b \(2 such places in all"):
        check_clean(leaks, "adapter")
    check_clean([], "adapter")


def test_redaction_leaves_keys_numbers_and_its_input_alone():
    value = {"/home/anna": ["/home/anna/b", 3, None, {"x": True}]}
    assert redact_json(value) == {"/home/anna": ["b", 3, None, {"x": True}]}
    assert value == {"/home/anna": ["/home/anna/b", 3, None, {"x": True}]}
    assert [one.kind for one in scan_json(redact_json(value), "a.json")] == ["path"]


_PART = st.text("abcXYZ019_.-", min_size=1, max_size=8).filter(lambda part: part.strip("."))


@given(st.lists(_PART, min_size=1, max_size=5), st.sampled_from(["", " then ", "see: "]))
def test_no_path_survives_redaction(parts, before):
    path = "/" + "/".join(["home", *parts])
    assert scan_text(before + path, "a.md")
    assert scan_text(redact_text(before + path), "a.md") == []
    assert parts[-1] in redact_text(before + path)


@given(st.text(max_size=200))
def test_any_text_can_be_looked_through(text):
    scan_text(text, "a.md", ["anna"])
    scan_json({"a": text}, "a.json", ["anna"])
    assert scan_json(redact_json({"a": redact_text(text)}), "a.json") is not None
