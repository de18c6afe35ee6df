import sys

import pytest
from fake_plugins import HEAD, LOSS, offering

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin import LossSpec
from mfl_adapt.plugin.registry import load_plugins


def plugin(host, name):
    return next(one for one in host.plugins() if one.name == name)


def test_installed_plugin_is_available_without_being_imported(site):
    site.add("rat-tools", {"rat": LOSS}, version="3.2")
    found = plugin(load_plugins([]), "rat")
    assert (found.state, found.distribution, found.version) == ("available", "rat-tools", "3.2")
    assert "rat_tools_rat" not in sys.modules


def test_named_plugin_is_active_with_its_components(site):
    site.add("rat-tools", {"rat": LOSS})
    found = plugin(load_plugins(["rat"]), "rat")
    assert found.state == "active"
    assert [spec.name for spec in found.components] == ["whisker"]
    assert found.hooks == ("register_components",)


def test_all_available_reports_what_others_offer_but_keeps_them_out(site):
    site.add("rat-tools", {"rat": LOSS})
    host = load_plugins([], all_available=True)
    assert [spec.name for spec in plugin(host, "rat").components] == ["whisker"]
    assert not [one for one in host.components(LossSpec) if one.plugin == "rat"]
    with pytest.raises(PluginError, match=r"'rat'.*not active.*--plugins rat"):
        host.component(LossSpec, "rat.whisker")


def test_plugins_come_sorted_by_name(site):
    site.add("a-dist", {"zebra": LOSS})
    site.add("z-dist", {"ant": LOSS})
    names = [one.name for one in load_plugins([]).plugins()]
    assert names == sorted(names)
    assert {"ant", "zebra"} <= set(names)


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        ("raise RuntimeError('no\\nteeth')", "RuntimeError: no teeth"),
        ("import whiskers_that_are_missing", "ModuleNotFoundError.*whiskers_that_are_missing"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
        ("@hookimpl\ndef register_components():\n    raise OSError('tail')", "OSError: tail"),
        ("@hookimpl\ndef register_components():\n    yield 1 / 0", "ZeroDivisionError"),
        ("@hookimpl\ndef regster_components(): ...", "unknown hook.*Did you mean 'register_comp"),
        ("@hookimpl\ndef step_finished(run, step=0): ...", "without defaults, got 'step=0'"),
        ("@hookimpl\ndef step_finished(run, stride): ...", "stride"),
        ("@hookimpl\ndef register_components(): ...", "contributes nothing.*no record"),
        ("def register_components(): return []", "contributes nothing.*@hookimpl"),
        ("x = 1", "contributes nothing: it implements no hook"),
    ],
)
def test_broken_plugin_is_isolated_when_unnamed_and_fatal_when_named(site, source, pattern):
    site.add("bad-rats", {"badrat": source})
    site.add("rat-tools", {"rat": LOSS})
    host = load_plugins(["rat"], all_available=True)
    found = plugin(host, "badrat")
    assert found.state == "broken"
    assert plugin(host, "rat").state == "active"
    with pytest.raises(PluginError, match=pattern) as caught:
        load_plugins(["badrat"])
    assert "bad-rats" in str(caught.value)
    assert "\n" not in str(caught.value)
    lenient = load_plugins(["badrat"], strict=False)
    assert plugin(lenient, "badrat").state == "broken"


def test_interrupting_an_import_is_no_broken_plugin(site):
    site.add("slow-rats", {"slow": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        load_plugins(["slow"])


def test_optional_hook_of_a_later_release_is_no_mistake(site):
    later = "\n@hookimpl(optionalhook=True)\ndef hook_of_tomorrow(run): ...\n"
    site.add("rat-tools", {"rat": LOSS + later})
    assert plugin(load_plugins(["rat"]), "rat").state == "active"


@pytest.mark.parametrize(
    ("stated", "pattern"),
    [
        ("", "states no MFL_API. Write MFL_API = 1"),
        ("MFL_API = 2", "got 2. Upgrade mfl_adapt"),
        ("MFL_API = 0", "got 0. Install a release"),
        ("MFL_API = '1'", "got '1'"),
        ("MFL_API = True", "got True"),
    ],
)
def test_handshake(site, stated, pattern):
    head = HEAD.replace("MFL_API = 1", stated).replace("import *", "import hookimpl")
    site.add("old-rats", {"oldrat": "raise_on_use = 1"}, head=head.split("class Config")[0])
    assert plugin(load_plugins([], all_available=True), "oldrat").state == "incompatible"
    with pytest.raises(PluginError, match=pattern) as caught:
        load_plugins(["oldrat"])
    assert "old-rats" in str(caught.value)


def test_two_distributions_with_one_name(site):
    site.add("rats-one", {"rat": LOSS})
    site.add("rats-two", {"rat": LOSS})
    with pytest.raises(PluginError, match="2: rats-one and rats-two"):
        load_plugins(["rat"])
    states = {one.distribution: one for one in load_plugins([]).plugins() if one.name == "rat"}
    assert {one.state for one in states.values()} == {"shadowed"}
    assert "rats-two" in states["rats-one"].reason


def test_unknown_name_suggests_a_known_one(site):
    site.add("rat-tools", {"whiskers": LOSS})
    with pytest.raises(PluginError, match=r"got 'wiskers'. Did you mean 'whiskers'\?"):
        load_plugins(["wiskers"])


def test_disabled_plugin_is_never_imported(site):
    site.add("bad-rats", {"badrat": "raise RuntimeError"})
    found = plugin(load_plugins([], disabled=["badrat"], all_available=True), "badrat")
    assert (found.state, found.reason) == ("disabled", "removed with -badrat")


def test_file_is_named_by_its_stem_and_may_refer_to_itself(site):
    path = site.file("rat.py", offering('spec(LossSpec, "whisker", build="rat:Built")'))
    host = load_plugins([path])
    assert plugin(host, "rat").distribution == f"file {path}"
    assert host.build(LossSpec, "rat.whisker", {"power": 3.0}).config.power == 3.0


def test_file_is_executed_anew_after_an_edit(site):
    path = site.file("rat.py", offering('spec(LossSpec, "one")'))
    assert load_plugins([path]).component(LossSpec, "rat").spec.name == "one"
    site.file("rat.py", offering('spec(LossSpec, "another")'))
    assert load_plugins([path]).component(LossSpec, "rat").spec.name == "another"


def test_file_hides_an_installed_plugin_only_if_that_one_is_not_named(site):
    site.add("rat-tools", {"rat": LOSS})
    path = site.file("rat.py", LOSS)
    states = {one.distribution: one.state for one in load_plugins([path]).plugins()}
    assert (states["rat-tools"], states[f"file {path}"]) == ("shadowed", "active")
    with pytest.raises(PluginError, match="rat-tools and file"):
        load_plugins(["rat", path])


@pytest.mark.parametrize("name", ["missing.py", "./nowhere/rat", "two-rats.py"])
def test_path_that_is_no_plugin_file(site, name):
    site.file("two-rats.py", LOSS)
    entry = str(site.folder / "files" / name) if name.startswith("two") else name
    with pytest.raises(PluginError, match=r"rat|missing"):
        load_plugins([entry])


def test_each_call_makes_its_own_host(site):
    site.add("rat-tools", {"rat": LOSS})
    first, second = load_plugins(["rat"]), load_plugins([])
    assert first.components(LossSpec)
    assert not second.components(LossSpec)
