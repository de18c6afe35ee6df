"""What two runs differ in, beside their settings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mfl_adapt.errors import AdapterError
from mfl_adapt.evaluate import causes
from mfl_adapt.evaluate.causes import find_causes, read_inputs
from mfl_adapt.evaluate.stored_scores import StoredScores

SETTINGS = {
    "base.id": "facelift.gslrm",
    "base.checkpoint": "weights.pt",
    "adapter.use": "lora_gslrm.lora",
    "data.path": "mice",
    "data.split.validation": 0.1,
    "losses.masked_loss.masked_l2.weight": 1.0,
    "data.preprocess": [{"use": "crops.square"}],
    "train.lr": 0.003,
}
INPUTS = {
    "base": {"id": "facelift.gslrm", "sha256": "ab" * 32, "fingerprint": "cd" * 32},
    "data": {"fingerprint": "12" * 32, "train": 6},
    "plugins": {
        name: {"distribution": "mfl-adapt", "version": "1", "code": "0" * 16}
        for name in ("facelift", "lora_gslrm", "masked_loss", "crops", "exporters")
    },
    "environment": {"python": "3.11.7", "threads": 2, "packages": {"torch": "2.13.0"}},
}


def run(settings=(), **inputs):
    """A run that differs from the reference in these."""
    given = {name: INPUTS[name] | inputs.get(name, {}) for name in INPUTS}
    return StoredScores("run", {}, {}, {}, "", settings=SETTINGS | dict(settings), inputs=given)


def found(settings=(), **inputs):
    return find_causes(run(), run(settings, **inputs))


def test_the_same_run_has_no_cause():
    one = found()
    assert (one.changes, one.idle, one.software) == ((), (), ())
    assert one.notes() == [
        "no setting differs that changes a weight, and base, data and plugins are the same"
    ]


def test_another_file_under_the_same_path_is_a_change():
    (change,) = found(base={"sha256": "ef" * 32}).changes
    assert str(change) == "base.sha256 abababababababab -> efefefefefefefef"
    (change,) = found(data={"fingerprint": "34" * 32}).changes
    assert str(change) == "data fingerprint 121212121212 -> fingerprint 343434343434"
    notes = found({"train.lr": 0.01}, base={"sha256": "ef" * 32}).notes()
    assert "2 things differ, so that no one of them can be credited with the difference" in notes


def test_the_same_file_under_another_path_is_none():
    one = found({"base.checkpoint": "/elsewhere/w.pt", "data.path": "copied"})
    assert one.changes == ()
    assert {change.key for change in one.idle} == {"base.checkpoint", "data.path"}


def test_a_setting_that_explains_other_inputs_is_one_change_with_them():
    one = found({"base.checkpoint": "other.pt"}, base={"sha256": "ef" * 32})
    assert [change.key for change in one.changes] == ["base.checkpoint"]
    for key in ("data.path", "data.size"):
        one = found({key: "rats"}, data={"fingerprint": "34" * 32})
        assert [change.key for change in one.changes] == [key]
    # A split picks samples and makes none.
    one = found({"data.split.validation": 0.2}, data={"fingerprint": "34" * 32})
    assert [change.key for change in one.changes] == ["data.split.validation", "data"]


@pytest.mark.parametrize("name", ["facelift", "lora_gslrm", "masked_loss", "crops"])
def test_other_code_of_a_plugin_in_use_is_a_change(name):
    other = INPUTS["plugins"] | {name: INPUTS["plugins"][name] | {"code": "1" * 16}}
    (change,) = found(plugins=other).changes
    assert str(change) == f"plugins.{name} 1 (code 00000000) -> 1 (code 11111111)"


def test_other_code_and_machines_are_told_apart():
    other = INPUTS["plugins"] | {"exporters": {"version": "2", "code": "1" * 16}}
    packages = {"packages": {"torch": "2.14.0"}}
    one = found({"train.lr": 0.01}, plugins=other, environment=packages | {"processes": 1})
    assert [change.key for change in one.changes] == ["train.lr"]
    assert [change.key for change in one.software] == ["plugins.exporters", "packages.torch"]
    assert one.notes()[-1] == (
        "made with other software or on another machine, which may move the last digits: "
        "plugins.exporters 1 (code 00000000) -> 2 (code 11111111); packages.torch 2.13.0 -> 2.14.0"
    )
    written = one.to_json()
    assert written["settings"] == [{"key": "train.lr", "reference": 0.003, "run": 0.01}]
    assert written["inputs_known"] is True


def test_a_run_without_a_passport_proves_nothing():
    bare = replace(run({"base.checkpoint": "other.pt", "train.keep": 5}), inputs=None)
    one = find_causes(run(), bare)
    assert [change.key for change in one.changes] == ["base.checkpoint"]
    assert [change.key for change in one.idle] == ["train.keep"]
    assert "whether base, data and plugins are the same is not known" in " ".join(one.notes())
    assert find_causes(run(), replace(run(), settings=None)) is None


def test_inputs_are_those_of_the_passport(tmp_path, monkeypatch):
    assert read_inputs(tmp_path) is None
    (tmp_path / "adapter").mkdir()
    with pytest.raises(AdapterError, match=r"passport\.json"):
        read_inputs(tmp_path)
    passport = {"base": {"id": "a"}, "plugins": 3, "steps": 4}
    monkeypatch.setattr(causes, "read_header", lambda _: SimpleNamespace(passport=passport))
    empty = {"data": {}, "plugins": {}, "environment": {}}
    assert read_inputs(tmp_path) == {"base": {"id": "a"}} | empty
