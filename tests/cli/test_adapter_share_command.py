"""``adapter publish`` and ``adapter pull``, as a user types them."""

import json
import shutil
import subprocess
import sys

import pytest
from bad_input import call, program, refuse

from mfl_adapt.adapter import load
from mfl_adapt.pipeline import load_base


@pytest.fixture(scope="module")
def adapter(finished_run):
    """The adapter of a short run on the tiny base; not to be changed."""
    return finished_run / "adapter"


def test_there_and_back(adapter, empty_folder):
    words = ["--title", "Tiny mouse", "--species", "mouse", "--limits", "A toy."]
    done = call("adapter", "publish", str(adapter), "--to", "shared", "--name", "mouse", *words)
    assert done.exit_code == 0, done.stderr
    passport = json.loads((adapter / "passport.json").read_text())
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["adapter"] == passport["adapter_hash"]
    assert "Apache-2.0" in lines["licence"]
    # The last line is a command that works.
    assert lines["pull"] == "mfl-adapt adapter pull mouse --from shared -o mouse"
    pulled = call(*lines["pull"].split()[1:])
    assert pulled.exit_code == 0, pulled.stderr
    assert f"adapter   {passport['adapter_hash']}\n" in pulled.stdout
    assert "A toy." in (empty_folder / "mouse" / "README.md").read_text()
    assert load(load_base("facelift.tiny"), empty_folder / "mouse").strength == 1


def test_json(adapter, empty_folder):
    done = call("adapter", "publish", str(adapter), "--to", "shared", "--name", "mouse", "--json")
    published = json.loads(done.stdout)
    pulled = json.loads(
        call("adapter", "pull", "mouse", "--from", "shared", "-o", "out", "--json").stdout
    )
    assert published["adapter_hash"] == pulled["adapter_hash"]
    assert published["files"] == sorted(pulled["files"])
    assert pulled["base"] == "facelift.tiny"


def test_what_is_private_is_refused_and_redacted(adapter, empty_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(adapter, tmp_path / "private")
    passport = json.loads((folder / "passport.json").read_text())
    passport["config"]["data"]["path"] = "/home/anna/mice"
    (folder / "passport.json").write_text(json.dumps(passport))
    path = folder / "adapter_model.safetensors"
    header = {"format": "pt", "mfl_adapt": json.dumps(passport)}
    save_file(load_file(path), path, metadata=header)
    arguments = ["adapter", "publish", str(folder), "--to", "shared", "--name", "mouse"]
    said = refuse(*arguments)
    assert "passport.json: config.data.path" in said
    assert "--redact" in said
    assert "anna" not in said.replace(str(tmp_path), "")
    done = call(*arguments, "--redact")
    assert "redacted  paths and names" in done.stdout
    assert call("adapter", "pull", "mouse", "--from", "shared", "-o", "out").exit_code == 0
    pulled = json.loads((empty_folder / "out" / "passport.json").read_text())
    assert pulled["config"]["data"]["path"] == "mice"


def test_one_line_for_each_refusal(adapter, empty_folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    publish, pull = ["adapter", "publish", str(adapter)], ["adapter", "pull"]
    assert "expected hub:OWNER/NAME" in refuse(*publish, "--to", "hub:mouse")
    assert "--name: expected letters" in refuse(*publish, "--to", "x", "--name", "a/b")
    assert "a.png" in refuse(*publish, "--to", "x", "--picture", "a.png")
    assert "expected an adapter folder" in refuse("adapter", "publish", "none", "--to", "x")
    assert "expected the index of a registry" in refuse(*pull, "mouse", "--from", "x", "-o", "out")
    assert "expected an answer of http://127.0.0.1:1" in refuse(*pull, "hub:a/b", "-o", "out")
    assert "pulled before" in refuse(*pull, "hub:a/b", "-o", "out", "--offline")
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("command", ["publish", "pull"])
def test_usage(command, empty_folder):
    assert call("adapter", command).exit_code == 2
    assert call("adapter", command, "--help").exit_code == 0


def test_help_and_publishing_need_no_torch_before_they_start():
    code = (
        "import sys; import mfl_adapt.cli.adapter_share, mfl_adapt.hub; "
        "print([name for name in ('torch', 'peft', 'cv2', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_as_a_process(adapter, empty_folder):
    done = subprocess.run(
        program("adapter", "publish", str(adapter), "--to", "shared", "--name", "a b"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --name: expected letters")
    assert done.stderr.count("\n") == 1
