"""An adapter's passport is enough to make the same adapter again, or to say what differs."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from silent import Silent
from small_runs import run_small

from mfl_adapt.errors import AdapterError, ConfigError
from mfl_adapt.train.reproduce import RecordedRun

PLUGIN = """
from mfl_adapt.plugin import hookimpl

MFL_API = 1


@hookimpl
def run_started(run):
    pass
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return run_small(tmp_path_factory.mktemp("original")).session.folder.path / "adapter"


@pytest.fixture
def made(original, tmp_path, monkeypatch):
    """A copy of an adapter that a run made, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(original, tmp_path / "made")


def rewrite(folder, changes):
    """Change fields of the passport, by dotted names, in both places where it stands."""
    passport = json.loads((folder / "passport.json").read_text())
    for name, value in changes.items():
        *above, last = name.split(".")
        place = passport
        for key in above:
            place = place[key]
        place[last] = value
    text = json.dumps(passport)
    (folder / "passport.json").write_text(text)
    weights = folder / "adapter_model.safetensors"
    save_file(load_file(weights), weights, metadata={"mfl_adapt": text})


def test_a_run_is_repeated_bit_for_bit(made, tmp_path):
    before = torch.get_num_threads()
    found = RecordedRun(made).run(Silent())
    assert found.identical
    assert found.differences == ()
    # Base, contract, configuration, data, plugins and machine are all among them.
    assert found.inputs > 80
    assert found.folder.resolve() == tmp_path / "runs" / "quickstart-again"
    assert torch.get_num_threads() == before
    found.check()


def test_another_input_is_named_and_another_adapter_is_an_error(made):
    found = RecordedRun(made, overrides=["train.lr=1e-4"]).run(Silent())
    assert [(one.name, one.recorded, one.here) for one in found.differences] == [
        ("config.train.lr", 0.003, 0.0001)
    ]
    with pytest.raises(AdapterError, match=r"expected adapter_hash .*config\.train\.lr: 0\.003"):
        found.check()
    assert found.to_json()["identical"] is False


def test_inputs_alone_are_compared_without_training(made, tmp_path):
    change = {"config.name": "other", "data.fingerprint": "0" * 64, "base.sha256": "1" * 64}
    rewrite(made, change | {"environment.packages.torch": "2.0.0"})
    found = RecordedRun(made).compare()
    assert [one.name for one in found.differences] == [
        "base.sha256", "data.fingerprint", "environment.packages.torch",
    ]  # fmt: skip
    assert found.identical is None
    assert not (tmp_path / "runs" / "quickstart-again").exists()


def test_as_many_threads_as_then(made, monkeypatch):
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    rewrite(made, {"environment.threads": 7})
    found = RecordedRun(made).compare()
    assert used == [7, torch.get_num_threads()]
    assert [one.name for one in found.differences] == ["environment.threads"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 2}, AdapterError, r"whole run, got one that was stopped after 2 of 3 steps"),
        ({"config": {}}, AdapterError, r"configuration of a run, got one without"),
        ({"made_by": "mfl-adapt adapter merge"}, AdapterError, r"made by mfl-adapt adapter merge"),
        ({"config.data.path": "<mice>"}, AdapterError, r"got <mice>.*with --data PATH"),
        ({"config.base.checkpoint": "<a.pt>"}, AdapterError, r"--set base\.checkpoint=PATH"),
        ({"config.plugins": ["./rat.py"]}, ConfigError, r"got './rat\.py'.*--plugins \./rat\.py"),
        ({"config.train.stepz": 3}, ConfigError, r"config: unknown key 'stepz' in train"),
    ],
)
def test_what_cannot_be_repeated_says_why(made, change, error, message):
    rewrite(made, change)
    with pytest.raises(error, match=message):
        RecordedRun(made)


def test_a_passport_chooses_no_place_to_write(made, tmp_path):
    rewrite(made, {"config.output": str(tmp_path / "theirs"), "config.data.cache": "x"})
    config = RecordedRun(made).loaded.config
    assert (str(config.output), config.data.cache) == ("runs", None)


def test_the_user_may_name_the_file_of_a_plugin(made, tmp_path):
    (tmp_path / "rat.py").write_text(PLUGIN)
    used = json.loads((made / "passport.json").read_text())["config"]["plugins"]
    rewrite(made, {"config.plugins": [*used, "<rat.py>"]})
    plugins = RecordedRun(made, plugins=["./rat.py"]).loaded.config.plugins
    assert plugins == (*used, "./rat.py")


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(AdapterError, match=r"no-adapter.*expected"):
        RecordedRun(tmp_path / "no-adapter")
