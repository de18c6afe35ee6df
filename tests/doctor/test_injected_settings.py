"""Failures of settings and of the files that they name, put into a good configuration."""

import pytest
from injured_settings import FEW, SETTINGS, SIX, sets
from injury import check_injury
from visits import codes, visit, write


@pytest.fixture(autouse=True)
def _empty_places(tmp_path, monkeypatch):
    """Nothing lies in the working directory, and nothing was ever fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MFL_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("preset", ["quickstart", "views-quickstart"])
def test_a_preset_is_clean(preset):
    status, content = visit(preset, *sets(*(SIX if preset == "quickstart" else FEW)))
    assert (status, content["findings"], content["begin_with"]) == (0, [], [])
    assert content["facts"]["samples"] == "all 2"


@pytest.mark.parametrize("injury", SETTINGS, ids=str)
def test_the_doctor_names_what_is_wrong_with_settings(tmp_path, injury):
    status, content = visit(*injury.injure(tmp_path))
    check_injury(injury, content["findings"])
    assert status == (1 if injury.severity == "law" else 0)
    assert content["begin_with"] == [injury.code]


def test_what_is_missing_is_said_with_the_command_that_fetches_it():
    _, content = visit("quickstart", *sets(*SIX, "base.id=facelift.gslrm"))
    assert "mfl-adapt base fetch facelift.gslrm" in content["findings"][0]["remedy"]


def test_several_parts_are_examined_though_one_is_broken(tmp_path):
    """A user mends all of it at once, not one thing a run."""
    text = """
extends: facelift-sample
base: {id: facelift.gslrm, checkpoint: gone.pt}
data: {path: nowhere}
train: {clip: 100}
"""
    status, content = visit(str(write(tmp_path / "a.yaml", text)))
    assert status == 1
    assert codes(content) == {"MFL025": "warning", "MFL041": "law"}
    found = {(one["code"], one["where"]) for one in content["findings"]}
    assert found == {
        ("MFL025", "train.clip"),
        ("MFL041", "base.checkpoint"),
        ("MFL041", "data.path"),
    }
