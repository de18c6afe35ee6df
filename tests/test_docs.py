"""The documentation names all there is, and what it names is there.

What stands in its blocks is run by ``test_docs_blocks.py``.
"""

import re
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import typer
from docs_pages import FENCE, pages, prose
from helpers import ROOT

from mfl_adapt.cli.app import COMMANDS, app
from mfl_adapt.config import describe_origins, list_presets, load_config
from mfl_adapt.plugin import CheckSpec, LossSpec, hookspecs, specs
from mfl_adapt.plugin.manager import State
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.plugin.validation import SLOTS

DOCS = ROOT / "docs"
PLUGINS = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")


def blocks(text, language):
    """Bodies of the fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def rows(text, heading):
    """First cells of the table below a heading, without backticks and arguments."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)[(`]", section, re.MULTILINE)


def test_every_hook_is_documented_with_its_arguments():
    hooks = {
        name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "mfl_adapt_spec")
    }
    assert set(rows(PLUGINS, "Hooks")) == set(hooks)
    for name, hook in hooks.items():
        arguments = hook.__code__.co_varnames[: hook.__code__.co_argcount]
        assert f"`{name}({', '.join(arguments)})`" in PLUGINS


def test_every_slot_is_documented_with_its_own_fields():
    documented = rows(PLUGINS.split("Rules that are checked")[0], "Slots")
    assert documented == [kind.__name__ for kind in SLOTS]
    common = {field.name for field in fields(specs.Spec)}
    for kind in SLOTS:
        line = next(line for line in PLUGINS.splitlines() if f"`{kind.__name__}`" in line)
        own = {field.name for field in fields(kind)} - common
        assert all(f"`{name}`" in line for name in own), f"{kind.__name__}: {own}"


def test_every_state_is_documented():
    listed = PLUGINS.split("with its state:")[1].split("\n\n")[1]
    assert set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE)) == set(get_args(State))


def test_plugin_of_the_page_works_as_it_stands(tmp_path):
    (source,) = blocks(PLUGINS, "python")
    name = source.splitlines()[0].removeprefix("# ")
    path = tmp_path / name
    path.write_text(source)
    host = load_plugins([str(path)])
    loss = host.build(LossSpec, "rat.whisker", {"power": 1.0})
    # Half of the pixels differ by 0.5 and the mask keeps half of those: 0.5 / 4.
    pred = torch.tensor([[0.5, 0.5], [0.0, 0.0]]).expand(1, 1, 3, 2, 2)
    mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).expand(1, 1, 1, 2, 2)
    assert loss(pred, torch.zeros_like(pred), mask, None).tolist() == [[0.125]]


def test_packaging_of_the_page_is_valid_toml_for_our_groups():
    first, second = (tomllib.loads(text) for text in blocks(PLUGINS, "toml"))
    assert set(first["project"]["entry-points"]) == {"mfl_adapt"}
    assert set(second["project"]["entry-points"]) == {"mfl_adapt.commands"}


ALL = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())


def anchors(page):
    """Fragments that lead into a page, as GitHub makes them of its headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
    counted = ((one, made[:index].count(one)) for index, one in enumerate(made))
    set_by_hand = re.findall(r'<a (?:id|name)="([^"]+)"></a>', text)
    return {f"{one}-{before}" if before else one for one, before in counted} | set(set_by_hand)


@ALL
def test_links_of_a_page_lead_somewhere(page):
    for picture, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        path, _, fragment = target.partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target}"
        assert not picture or found.is_file(), f"{page.name}: {target}"
        assert not fragment or fragment in anchors(found), f"{page.name}: {target}"


def test_every_picture_is_on_a_page():
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    shown = {Path(one).name for one in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)}
    assert {path.name for path in (DOCS / "images").iterdir()} == shown


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert {name for name in names if f"({name})" not in index} == set()


@pytest.mark.parametrize("name", ["commands.md", "configuration.md", "api.md"])
def test_page_is_what_the_code_says(name, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    made = import_module("make_reference").PAGES[name]()
    assert (DOCS / name).read_text(encoding="utf-8") == made, "run python docs/make_reference.py"


def test_figures_are_what_the_script_draws(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    for name, draw in import_module("make_figures").FIGURES.items():
        # One decimal of a pixel may round the other way where the sine of a processor does.
        drawn, kept = (re.findall(r"[-\d.]+|[a-z]+", one) for one in (draw().render(), svg(name)))
        assert [one for one in drawn if one.isalpha()] == [one for one in kept if one.isalpha()]
        numbers = ([float(x) for x in one if re.search(r"\d", x)] for one in (drawn, kept))
        np.testing.assert_allclose(*numbers, atol=0.11, err_msg="run python docs/make_figures.py")


def svg(name):
    """Text of a figure in the tree."""
    return (DOCS / "images" / name).read_text(encoding="utf-8")


def test_every_command_is_documented():
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    for words in every_command(typer.main.get_command(app), ("mfl-adapt",)):
        assert f"```text\n{' '.join(words)}" in text, words


def every_command(command, words):
    """Words of every command below a group; of ours alone, others document theirs."""
    if not hasattr(command, "list_commands"):
        yield words
        return
    context = typer.Context(command)
    for name in COMMANDS if len(words) == 1 else command.list_commands(context):
        yield from every_command(command.get_command(context, name), (*words, name))


def test_every_key_and_every_component_is_documented():
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    keys = [key for key, *_ in describe_origins(load_config("base"))]
    assert {key for key in keys if f"`{key}`" not in text} == set()
    host = load_plugins(load_config("base").config.plugins)
    for slot in SLOTS:
        for one in host.components(slot):
            assert f"`{one.name}`" in text


def test_every_code_of_a_check_is_documented():
    text = (DOCS / "checks.md").read_text(encoding="utf-8")
    host = load_plugins(load_config("base").config.plugins)
    codes = {one.spec.code for one in host.components(CheckSpec)}
    assert len(codes) >= 27
    assert {code for code in codes if code not in text} == set()


@ALL
def test_every_code_on_a_page_exists(page):
    known = set(re.findall(r"^### (MFL\d{3})", (DOCS / "checks.md").read_text(), re.MULTILINE))
    assert set(re.findall(r"MFL\d{3}", page.read_text(encoding="utf-8"))) <= known


def test_every_preset_is_documented():
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [one for one in list_presets() if f"| `{one.name}` | {one.summary}" not in text] == []


def test_readme_names_every_command_and_every_preset():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"mfl-adapt {name}" not in readme] == []
    assert [one.name for one in list_presets() if f"`{one.name}`" not in readme] == []
