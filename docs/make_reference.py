"""Writes the pages that are made from the code: commands, configuration, Python.

Run it after a change of an option, a key, a setting or a public docstring:

    python docs/make_reference.py

A test fails where a page is not what this would write.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))  # the script runs from anywhere, and the tests import it

from reference_api import api_page  # noqa: E402 - needs the line above

from mfl_adapt.cli.app import COMMANDS, app  # noqa: E402
from mfl_adapt.config import RunConfig, list_presets  # noqa: E402
from mfl_adapt.config.models import ComponentSection  # noqa: E402
from mfl_adapt.plugin.describe import describe_component  # noqa: E402
from mfl_adapt.plugin.registry import load_plugins  # noqa: E402
from mfl_adapt.plugin.type_names import name_type  # noqa: E402
from mfl_adapt.plugin.validation import slot_of  # noqa: E402

MADE = "This page is made from the code by `python docs/make_reference.py`."

COMMANDS_INTRO = f"""# Commands

{MADE} Each command prints the same with `--help`.

`mfl-adapt --version` prints the version, and `mfl-adapt -v COMMAND ...` logs details, also of what
goes wrong. Exit codes: 0 success, 1 one line about what to mend, 2 wrong usage, 130 interrupted.
"""

CONFIGURATION_INTRO = f"""# Configuration

{MADE} It lists every key of a run configuration and every setting of the components that ship
with the package.

A run is one YAML file laid over a preset, key by key:

```yaml
# mouse.yaml
extends: facelift-sample
data:
  path: recordings/
losses:
  masked_loss.masked_ssim: {{weight: 0.4}}
adapter: {{use: lora_gslrm.lora, r: 8}}
```

What comes later in this list wins: defaults, preset (`extends:`), file, environment
(`MFL__TRAIN__LR=5e-4`), `--set train.lr=5e-4`, flags such as `--data`. Sections that name a
component (`use:`, `id:`, or the name of a loss) hold its settings beside that name. An unknown key
is an error with its line and the nearest known key.

```bash
mfl-adapt config presets
mfl-adapt config validate mouse.yaml
mfl-adapt config show mouse.yaml --origin
mfl-adapt config schema > schema.json
```

`config show --origin` says of every value where it comes from; `config schema` writes a JSON
schema, with which editors check and complete a file.
"""


def cell(text: str) -> str:
    """Make a text fit into one cell of a table."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Write a table; nothing where there are no rows."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    if lines:
        head = list(head)
        yield from [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines, ""]


def commands_page() -> str:
    """Return the page of all core commands; those of other distributions are theirs."""
    root = typer.main.get_command(app)
    lines = [COMMANDS_INTRO]
    for name, summary in COMMANDS.items():
        command = root.get_command(typer.Context(root), name)
        lines += [f"## {name}", "", *_command(f"mfl-adapt {name}", command, summary, level=3)]
    return "\n".join(lines)


def _command(typed: str, command: Any, summary: str, level: int) -> Iterator[str]:
    if hasattr(command, "list_commands"):
        yield from [summary, ""]
        context = typer.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            yield from [f"{'#' * level} {typed.removeprefix('mfl-adapt ')} {name}", ""]
            yield from _command(f"{typed} {name}", inner, "", level + 1)
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    words = [typed, *(_argument(one) for one in arguments), "[OPTIONS]" if options else ""]
    yield from ["```text", " ".join(filter(None, words)), "```", "", _paragraphs(command.help), ""]
    rows = [(f"`{_argument(one)}`", _default(one)) for one in arguments]
    yield from table(["argument", "meaning"], rows)
    yield from table(["option", "meaning"], [(_option(one), _default(one)) for one in options])


def _argument(one: Any) -> str:
    name = one.metavar or one.name.upper()
    name = f"{name}..." if one.nargs == -1 and "..." not in name else name
    return name if one.required else f"[{name}]"


def _option(one: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
    if one.is_flag:
        return names
    value = one.metavar or name_type(one.type_descriptor.annotation)
    value = value.removesuffix(" or null").replace(" or ", "|").replace("'", "")
    return f"{names} `{value}`"


def _default(one: Any) -> str:
    said = one.help or ""
    if one.required and one.param_type_name == "option":
        return f"{said} Required."
    has_default = one.default not in (None, False, ()) and not callable(one.default)
    return f"{said} Default: `{one.default}`." if has_default else said


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def configuration_page() -> str:
    """Return the page of all keys of the core and all settings of shipped components."""
    lines = [CONFIGURATION_INTRO, "## Presets", ""]
    lines += table(
        ["preset", "what it is"], ((f"`{one.name}`", one.summary) for one in list_presets())
    )
    lines += ["## Keys of the core", ""]
    lines += table(["key", "type", "default", "meaning"], _keys(RunConfig, ""))
    lines += ["## Settings of components", ""]
    shipped = _shipped()
    host = load_plugins(sorted(shipped))
    for plugin in sorted(host.plugins(), key=lambda one: one.name):
        if plugin.name in shipped and plugin.components:
            lines += _plugin(plugin)
    return "\n".join(lines).rstrip() + "\n"


def _shipped() -> set[str]:
    text = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    return set(tomllib.loads(text)["project"]["entry-points"]["mfl_adapt"])


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, info in model.model_fields.items():
        inner = info.annotation
        is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
        if is_model and not issubclass(inner, ComponentSection):
            yield from _keys(inner, f"{prefix}{name}.")
            continue
        kind = _kind(info)
        default = info.get_default(call_default_factory=True)
        yield f"`{prefix}{name}`", kind, f"`{_plain(default)}`", info.description or ""


def _kind(info: Any) -> str:
    named = name_type(info.annotation, info.metadata)
    if "LossTerm" in str(info.annotation):
        return "mapping of text to loss term"
    section = "base" if "BaseChoice" in str(info.annotation) else "component"
    return named.replace("mapping", section)


def _plain(value: Any) -> str:
    return json.dumps(value, default=lambda one: str(one) if isinstance(one, Path) else dict(one))


def _words(default: str) -> str:
    """Write a default of Python as YAML has it."""
    if default in ("required", "computed"):
        return default
    plain = {"None": "null", "True": "true", "False": "false"}.get(default, default)
    return f"`{plain}`"


def _plugin(plugin: Any) -> Iterator[str]:
    yield from [f"### {plugin.name}", ""]
    for spec in plugin.components:
        described = describe_component(spec)
        code = getattr(spec, "code", None)
        yield from [
            f"**`{plugin.name}.{spec.name}`** ({slot_of(spec)}{f', `{code}`' if code else ''}): "
            f"{cell(spec.summary)}",
            "",
        ]
        rows = [
            (f"`{one['name']}`", one["type"], _words(one["default"]), one["description"])
            for one in described["settings"]
        ]
        yield from table(["setting", "type", "default", "meaning"], rows)


PAGES = {
    "commands.md": commands_page,
    "configuration.md": configuration_page,
    "api.md": lambda: api_page(f"# Python\n\n{MADE}\n"),
}
"""File in this folder, and what writes it."""


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"{DOCS / name}\n")


if __name__ == "__main__":
    main()
