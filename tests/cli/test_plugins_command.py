import json

from fake_plugins import LOSS
from typer.testing import CliRunner

from mfl_adapt.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def states(*arguments):
    rows = json.loads(run("plugins", "list", "--json", *arguments).stdout)
    return {row["name"]: row["state"] for row in rows}


def test_list_shows_every_state(site):
    site.add("rat-tools", {"rat": LOSS, "vole": LOSS})
    site.add("bad-rats", {"badrat": "raise RuntimeError('no teeth')"})
    site.add("old-rats", {"oldrat": "MFL_API = 0"})
    site.add("twin-one", {"twin": LOSS})
    site.add("twin-two", {"twin": LOSS})
    found = states("--plugins", "vole,-exporters")
    names = ("rat", "vole", "exporters", "badrat", "oldrat", "twin")
    assert [found[name] for name in names] == [
        "available",
        "active",
        "disabled",
        "broken",
        "incompatible",
        "shadowed",
    ]


def test_list_gives_supplier_components_and_reasons(site):
    site.add("rat-tools", {"rat": LOSS}, version="3.2")
    site.add("bad-rats", {"badrat": "raise RuntimeError('no teeth')"})
    lines = {line.split()[0]: line for line in run("plugins", "list").output.splitlines()}
    assert lines["rat"].split()[1:] == ["available", "rat-tools", "3.2", "whisker"]
    assert "broken" in lines["badrat"]
    assert lines["badrat"].endswith("raised RuntimeError: no teeth")


def test_list_shows_a_broken_plugin_that_was_named(site):
    site.add("bad-rats", {"badrat": "raise RuntimeError"})
    assert states("--plugins", "badrat")["badrat"] == "broken"


def test_list_takes_the_active_ones_from_a_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("plugins: [facelift]\n")
    found = states("--config", str(path))
    assert [name for name, state in found.items() if state == "active"] == ["facelift"]


def test_show_names_components_and_settings(site):
    watch = "\n@hookimpl\ndef run_finished(run): ...\n"
    site.add("rat-tools", {"rat": LOSS + watch}, version="3.2")
    assert run("plugins", "show", "rat").output.splitlines() == [
        "rat of rat-tools 3.2",
        "",
        "loss whisker: A summary.",
        "  power: float = 2.0",
        "",
        "observes: run_finished",
    ]
    shown = json.loads(run("plugins", "show", "rat", "--json").output)
    assert shown["hooks"] == ["register_components", "run_finished"]


def test_show_works_for_a_file(site):
    path = site.file("rat.py", LOSS)
    assert f"rat of file {path}" in run("plugins", "show", path).output


def test_show_of_an_unknown_plugin():
    result = run("plugins", "show", "maskd_loss")
    assert result.exit_code == 1
    assert "Did you mean 'masked_loss'?" in result.stderr


def test_base_list():
    output = run("base", "list").output
    assert "facelift.tiny " in output
    assert "facelift.gslrm  512 x 512 px" in output
    rows = json.loads(run("base", "list", "--json").output)
    assert {row["id"]: row["size"] for row in rows}["facelift.gslrm"] == 512


def test_base_list_follows_the_active_plugins():
    assert run("base", "list", "--plugins", "-facelift").output == ""
