from pathlib import Path

import pytest
from fake_plugins import LOSS, offering

from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.plugin import (
    AdapterSpec,
    BaseSpec,
    ExporterSpec,
    LossSpec,
    PreprocessorSpec,
    ReaderSpec,
)
from mfl_adapt.plugin.registry import load_plugins

TWO = offering('spec(LossSpec, "whisker")', 'spec(LossSpec, "tail")', 'reader("folder")')


@pytest.fixture
def host(site):
    site.add("rat-tools", {"rat": TWO}, version="3.2")
    return load_plugins(["rat"])


def test_component_by_full_name(host):
    found = host.component(LossSpec, "rat.tail")
    assert (found.name, found.distribution, found.version) == ("rat.tail", "rat-tools", "3.2")


def test_plugin_alone_means_its_single_component_of_the_slot(host):
    assert host.component(ReaderSpec, "rat").name == "rat.folder"
    with pytest.raises(PluginError, match=r"several. Name one: rat.whisker, rat.tail"):
        host.component(LossSpec, "rat")


def test_lookup_by_the_slots_word(host):
    assert host.lookup("loss", "rat.tail") == host.component(LossSpec, "rat.tail")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("rat.whiskr", r"a loss of plugin 'rat', got 'whiskr'. Did you mean 'whisker'\?"),
        ("rat.folder", r"got 'folder'. Known: tail, whisker"),
        ("rats.tail", r"a loss of an installed plugin, got 'rats'. Did you mean 'rat'\?"),
        ("facelift.tiny", r"'facelift', which is installed but not active. Add --plugins facelift"),
        ("rat.", "several"),
    ],
)
def test_name_that_leads_nowhere(host, name, pattern):
    with pytest.raises(PluginError, match=pattern):
        host.component(LossSpec, name)


def test_slot_that_the_plugin_does_not_fill(host):
    with pytest.raises(PluginError, match=r"an adapter, got 'rat'.*of rat-tools offers none.*tail"):
        host.component(AdapterSpec, "rat")


def test_place_leads_the_message(host):
    with pytest.raises(PluginError, match=r"^a.yaml:3: losses: expected"):
        host.component(LossSpec, "rat.whiskr", where="a.yaml:3: losses")


def test_removed_plugin_says_so(site):
    site.add("rat-tools", {"rat": LOSS})
    host = load_plugins([], disabled=["rat"])
    with pytest.raises(PluginError, match="'rat' of rat-tools is disabled: removed with -rat"):
        host.component(LossSpec, "rat.whisker")


def test_build_validates_imports_and_calls(host):
    built = host.build(LossSpec, "rat.tail", {"power": 3})
    assert built.config.power == 3.0
    assert host.build(LossSpec, "rat.tail").config.power == 2.0
    assert host.build(LossSpec, "rat.tail", built.config).config is built.config


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({"powr": 3}, r"b.yaml:4: unknown key 'powr' in rat.tail. Did you mean 'power'\?"),
        ({"power": "x"}, r"b.yaml:4: power of rat.tail: expected a number, got 'x'"),
    ],
)
def test_build_refuses_settings(host, settings, pattern):
    with pytest.raises(ConfigError, match=pattern):
        host.build(LossSpec, "rat.tail", settings, where="b.yaml:4")


@pytest.mark.parametrize(
    ("build", "pattern"),
    [
        ("missing_rats.tail:Tail", r"'missing_rats.tail:Tail' raised ModuleNotFoundError"),
        ("json:Tail", r"'json:Tail' raised AttributeError"),
        ("json:__name__", r"'json:__name__' to be callable, got 'json'"),
    ],
)
def test_code_that_cannot_be_resolved_names_the_distribution(site, build, pattern):
    site.add("rat-tools", {"rat": offering(f'spec(LossSpec, "tail", build="{build}")')})
    host = load_plugins(["rat"])
    host.settings(LossSpec, "rat.tail", {})  # validation alone imports nothing
    with pytest.raises(PluginError, match=f"rat-tools.*{pattern}"):
        host.build(LossSpec, "rat.tail")


def test_readers_are_asked_for_a_path(site):
    other = offering('reader("other")', 'reader("maker", needs_path=False)')
    site.add("rat-tools", {"rat": offering('reader("folder")'), "mouse": other})
    host = load_plugins(["rat", "mouse"])
    names = [one.name for one in host.readers_for(Path("a.rat"))]
    assert names == ["mouse.other", "rat.folder"]
    assert host.readers_for(Path("a.cat")) == []


def test_reader_that_raises_is_named(site):
    body = "\ndef fails(path): raise OSError('no cheese')\n"
    record = 'spec(ReaderSpec, "folder", can_read=__name__ + ":fails")'
    site.add("rat-tools", {"rat": body + offering(record)})
    with pytest.raises(PluginError, match=r"rat-tools: rat.folder: can_read raised OSError"):
        load_plugins(["rat"]).readers_for(Path("a.rat"))


def test_observers_are_called_by_name_for_active_plugins_only(site):
    watch = "\n@hookimpl\ndef step_finished(run, step): run.append((__name__, step))\n"
    site.add("watchers", {"zoe": watch, "adam": watch, "idle": watch})
    calls: list[tuple[str, int]] = []
    load_plugins(["zoe", "adam"]).observers.step_finished(run=calls, step=7)
    assert calls == [("watchers_adam", 7), ("watchers_zoe", 7)]


def test_observer_alone_makes_a_plugin(site):
    site.add("watchers", {"zoe": "\n@hookimpl\ndef run_finished(run): ...\n"})
    host = load_plugins(["zoe"])
    assert host.acts_alone("zoe")
    assert host.offers("zoe") == []


def test_checks_and_exporters_act_alone_and_losses_do_not(site):
    check = 'spec(CheckSpec, "look", code="RAT001", subject="sample")'
    exporter = 'spec(ExporterSpec, "file", suffix=".rat")'
    parts = {"one": offering(check), "two": offering(exporter), "three": LOSS}
    site.add("rat-tools", parts)
    host = load_plugins(list(parts))
    assert [host.acts_alone(name) for name in parts] == [True, True, False]
    assert host.offers("three") == [("loss", "three.whisker")]
    assert [one.name for one in host.components(ExporterSpec)] == ["two.file"]
    assert host.components(BaseSpec) == host.components(PreprocessorSpec) == []


def test_two_names_for_one_module(site):
    site.add("rat-tools", {"rat": LOSS})
    info = site.folder / "rat_tools-1.0.dist-info" / "entry_points.txt"
    info.write_text("[mfl_adapt]\nrat = rat_tools_rat\nvole = rat_tools_rat\n")
    with pytest.raises(PluginError, match=r"'rat' of rat-tools and 'vole'.*both rat_tools_rat"):
        load_plugins(["rat", "vole"])


def test_two_checks_with_one_code_name_both_distributions(site):
    check = offering('spec(CheckSpec, "look", code="RAT001", subject="sample")')
    site.add("rats-one", {"one": check})
    site.add("rats-two", {"two": check})
    with pytest.raises(PluginError, match=r"RAT001.*one.look of rats-one and two.look of rats-two"):
        load_plugins(["one", "two"])
