"""The documentation names what exists: hooks, records, commands, options, presets and files."""

import re
import shlex
import tomllib
from dataclasses import fields
from typing import get_args

import pytest
import torch
import typer
from helpers import ROOT

from mfl_adapt.cli.app import COMMANDS, app
from mfl_adapt.config import list_presets
from mfl_adapt.plugin import LossSpec, hookspecs, specs
from mfl_adapt.plugin.manager import State
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.plugin.validation import SLOTS

PLUGINS = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for folder in ("", "docs", "plugins", "adapters", "examples", "benchmarks")
    for path in (ROOT / folder).glob("*.md")
)


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


def commands_in(path):
    """Lines of console blocks that call the program, continuation lines joined."""
    text = path.read_text(encoding="utf-8")
    for language in ("console", "bash", "sh", "shell"):
        for block in blocks(text, language):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.removeprefix("$ ").strip()
                if line.startswith("mfl-adapt "):
                    yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_options_of_a_page_exist(path):
    root = typer.main.get_command(app)
    for arguments in commands_in(path):
        command, rest = root, arguments
        while hasattr(command, "list_commands") and rest and not rest[0].startswith("-"):
            context = typer.Context(command)
            command, rest = command.get_command(context, rest[0]), rest[1:]
            assert command is not None, f"{path.name}: mfl-adapt {' '.join(arguments)}"
        known = {option for one in command.params for option in one.opts}
        for word in rest:
            option = word.split("=")[0]
            if option.startswith("--") and option != "--help":
                assert option in known, f"{path.name}: {option} of mfl-adapt {arguments[0]}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_readme_names_every_command_and_every_preset():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"mfl-adapt {name}" not in readme] == []
    assert [one.name for one in list_presets() if f"`{one.name}`" not in readme] == []
