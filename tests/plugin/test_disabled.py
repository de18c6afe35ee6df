import logging
import sys
from pathlib import Path

import pytest
from fake_plugins import LOSS

from mfl_adapt.errors import ConfigError, PluginError, StorageError
from mfl_adapt.plugin import LossSpec
from mfl_adapt.plugin.disabled import (
    disable,
    disabled_file,
    enable,
    read_disabled,
    refuse_disabled,
)
from mfl_adapt.plugin.registry import load_plugins


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The folder of the user's settings, empty."""
    folder = tmp_path / "settings"
    monkeypatch.setenv("MFL_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def rat(site):
    site.add("rat-tools", {"rat": LOSS})
    return site


def found(host, name="rat"):
    return next(one for one in host.plugins() if one.name == name)


def test_the_file_lies_where_the_environment_says(monkeypatch):
    assert disabled_file().parent.name == "settings"
    monkeypatch.delenv("MFL_CONFIG_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/xdg")
    assert disabled_file() == Path("/etc/xdg/mfl_adapt/plugins.toml")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert disabled_file() == Path.home() / ".config" / "mfl_adapt" / "plugins.toml"


def test_nothing_is_disabled_without_a_file(home):
    assert read_disabled() == {}
    assert not home.exists()


def test_a_disabled_plugin_is_never_imported(rat):
    assert disable(["rat"]) == ["rat"]
    for host in (load_plugins([], all_available=True), load_plugins(["rat"])):
        assert found(host).state == "disabled"
        assert "`mfl-adapt plugins enable rat`" in found(host).reason
        assert found(host).reason.startswith("disabled by you on 20")
    assert "rat_tools_rat" not in sys.modules


def test_using_its_component_says_why_it_is_not_there(rat):
    disable(["rat"])
    with pytest.raises(PluginError, match=r"losses\.rat.*rat-tools is disabled.*plugins enable"):
        load_plugins(["rat"]).component(LossSpec, "rat.whisker", where="losses.rat")


def test_a_configuration_that_names_it_is_told(rat, caplog):
    disable(["rat"])
    with caplog.at_level(logging.INFO):
        load_plugins([])
        assert caplog.text == ""
        load_plugins(["rat"])
    assert "rat is not loaded: disabled by you" in caplog.text


def test_enabling_brings_it_back(rat):
    disable(["rat"])
    assert enable(["rat"]) == ["rat"]
    assert found(load_plugins(["rat"])).state == "active"


def test_both_say_what_they_changed(rat):
    assert disable(["rat", "rat", "exporters"]) == ["rat", "exporters"]
    assert disable(["rat"]) == []
    assert enable(["rat", "colmap"]) == ["rat"]
    assert list(read_disabled()) == ["exporters"]


def test_a_plugin_that_is_no_longer_installed_can_be_enabled(home):
    home.mkdir()
    (home / "plugins.toml").write_text('[disabled]\ngone = "2026-01-31"\n')
    assert enable(["gone"]) == ["gone"]
    assert read_disabled() == {}


def test_odd_names_of_entry_points_survive_the_file(home):
    home.mkdir()
    (home / "plugins.toml").write_text('[disabled]\n"a.\\"b" = "2026-01-31"\n')
    disable(["exporters"])
    assert set(read_disabled()) == {'a."b', "exporters"}


@pytest.mark.parametrize("switch", [disable, enable])
def test_an_unknown_name_changes_nothing(rat, switch):
    disable(["exporters"])
    with pytest.raises(PluginError, match=r"got 'ratt'. Did you mean 'rat'"):
        switch(["rat", "exporters", "ratt"])
    assert list(read_disabled()) == ["exporters"]


def test_a_file_cannot_be_disabled():
    with pytest.raises(PluginError, match=r"got the file './rat.py'"):
        disable(["./rat.py"])


def test_a_file_of_the_same_name_still_works(rat):
    disable(["rat"])
    path = rat.file("rat.py", LOSS)
    states = {one.distribution: one.state for one in load_plugins([path]).plugins()}
    assert states["rat-tools"] == "disabled"
    assert states[f"file {path}"] == "active"


def test_naming_one_is_refused(rat):
    refuse_disabled(["rat"])
    disable(["rat"])
    with pytest.raises(PluginError, match=r"'rat'.* you disabled on 20.*`mfl-adapt plugins enabl"):
        refuse_disabled(["rat"])


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"[disabled", "got Expected"),
        (b"disabled = 3", "got 3"),
        (b"[disabled]\nrat = 3", r"got \{'rat': 3\}"),
        (b"[enabled]\nrat = '1'", "got the key 'enabled'"),
        (b"\xff", "got 'utf-8' codec"),
    ],
)
def test_a_broken_file_is_one_line_that_says_how_to_mend_it(home, content, got):
    home.mkdir()
    (home / "plugins.toml").write_bytes(content)
    for use in (read_disabled, lambda: load_plugins([]), lambda: disable(["exporters"])):
        with pytest.raises(ConfigError, match=got) as caught:
            use()
        assert "plugins.toml" in str(caught.value)
        assert "delete the file" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (home / "plugins.toml").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(home):
    home.write_text("a file where the folder should be")
    with pytest.raises((ConfigError, StorageError), match="settings"):
        disable(["exporters"])


def test_without_imports_nobody_knows(rat):
    host = load_plugins(["rat"], all_available=True, imports=False)
    assert found(host).state == "unknown"
    assert "rat_tools_rat" not in sys.modules
