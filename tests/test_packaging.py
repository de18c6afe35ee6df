"""Plugins of the tree are packaged like anybody else's, and presets travel with the wheel."""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points

import pytest
from helpers import ROOT

from mfl_adapt import __version__
from mfl_adapt.plugin.registry import load_plugins

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
POINTS = PROJECT["project"]["entry-points"]["mfl_adapt"]
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
FOLDERS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


def test_folders_packages_and_entry_points_match():
    assert len(FOLDERS) >= 8
    assert sorted({value.partition(".")[0] for value in POINTS.values()}) == FOLDERS
    assert sorted(WHEEL["packages"]) == sorted(["mfl_adapt", *(f"plugins/{x}" for x in FOLDERS)])


def test_the_module_of_a_plugin_carries_the_projects_prefix():
    # A folder is one plugin of its name; one that holds several has a module for each.
    several = {name: value for name, value in POINTS.items() if "." in value}
    assert all(value.startswith("mfl_adapt_") for value in POINTS.values())
    assert all(value.endswith(f".{name}") for name, value in several.items())
    single = {name: value for name, value in POINTS.items() if name not in several}
    assert single == {name: f"mfl_adapt_{name}" for name in single}


def test_installed_entry_points_are_those_of_the_project():
    ours = [one for one in entry_points(group="mfl_adapt") if one.dist.name == "mfl-adapt"]
    assert {one.name: one.value for one in ours} == POINTS


def test_every_plugin_of_the_tree_loads():
    host = load_plugins(sorted(POINTS))
    assert {one.name for one in host.plugins() if one.state == "active"} >= set(POINTS)


@pytest.mark.parametrize("name", sorted(POINTS))
def test_a_plugin_states_its_interface_as_a_number(name):
    path = ROOT / "plugins" / POINTS[name].replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stated = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MFL_API"
    ]
    assert stated == ["1"]


def test_version_stands_in_both_places():
    assert PROJECT["project"]["version"] == __version__


def test_presets_are_put_into_the_wheel():
    assert WHEEL["force-include"] == {"configs": "mfl_adapt/_presets"}


def test_wheel_holds_plugins_and_presets_and_finds_them(tmp_path):
    pytest.importorskip("hatchling", reason="builds a wheel with hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    names = {path.relative_to(site).as_posix() for path in site.rglob("*")}
    assert {f"{folder}/__init__.py" for folder in FOLDERS} <= names
    pages_and_weights = [
        path
        for folder in (
            *("report/web", "scaffold/templates"),
            *("models/gslrm/weights", "models/mvdiffusion/weights"),
        )
        for path in (ROOT / "mfl_adapt" / folder).rglob("*")
        if path.is_file()
    ]
    assert len(pages_and_weights) > 20
    assert {path.relative_to(ROOT).as_posix() for path in pages_and_weights} <= names
    code = (
        "from mfl_adapt.config import list_presets, presets_folder; "
        "print(presets_folder()); print(len(list_presets()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    count = len(list((ROOT / "configs").rglob("*.yaml")))
    assert done.stdout.split() == [str(site / "mfl_adapt" / "_presets"), str(count)]
