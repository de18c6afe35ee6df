"""Data of the base's own domain that somebody named: how, and what an error calls them."""

import pytest
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.config import dump_config, load_config
from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.evaluate.asked_home import check_home, in_words_of_home, is_typed, word_home


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder with settings alone, whose own domain lies somewhere that is gone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mouse").mkdir()
    config = load_config("quickstart", overrides=["evaluate.home=heads"]).config
    (tmp_path / "mouse" / "config.yaml").write_text(dump_config(config))
    return tmp_path / "mouse"


def test_who_named_them_is_told_apart(run):
    from_file = load_config(str(run / "config.yaml"))
    assert (word_home(from_file), is_typed(from_file)) == ("evaluate.home", False)
    typed = load_config("quickstart", flags={"evaluate.home": "heads"})
    assert (word_home(typed), is_typed(typed)) == ("--home", True)
    typed = load_config("quickstart", overrides=["evaluate.home=heads"])
    assert (word_home(typed), is_typed(typed)) == ("evaluate.home", True)
    nobody = load_config("quickstart")
    assert (word_home(nobody), is_typed(nobody)) == ("", False)
    check_home(nobody)


def test_what_is_not_there_is_an_error_if_it_is_wanted(run):
    with pytest.raises(DataError, match=r"evaluate\.home: .* got heads\. Name them with --home"):
        check_home(load_config(str(run / "config.yaml")))
    check_home(load_config(str(run / "config.yaml"), overrides=["evaluate.retention=0"]))
    gone = {"evaluate.home": "gone"}
    with pytest.raises(
        DataError, match=r"--home: expected an existing .*got gone\. Check the path"
    ):
        check_home(load_config("quickstart", flags=gone, overrides=["evaluate.retention=0"]))
    (run.parent / "heads").mkdir()
    check_home(load_config(str(run / "config.yaml")))


def test_an_error_keeps_its_kind_and_code():
    found = in_words_of_home(ShapeError("data.path: expected a", code="MFL001"), "--home")
    assert (type(found), str(found), found.code) == (ShapeError, "--home: expected a", "MFL001")


def test_evaluate_refuses_a_path_that_was_typed(run):
    done = CliRunner().invoke(app, ["evaluate", "mouse", "--home", "nosuch"])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "error: --home: expected an existing file or folder, got nosuch. Check the path."
    )
