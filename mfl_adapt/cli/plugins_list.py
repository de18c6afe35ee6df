"""``mfl-adapt plugins list`` and ``show``: which plugins there are and what they offer."""

from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, new_app, read_config

app = new_app()

ConfigOption = Annotated[
    str, typer.Option("--config", metavar="CONFIG", help="Preset or file that names the active.")
]
NoImportOption = Annotated[
    bool,
    typer.Option(
        "--no-import", help="Import no plugin: for when one of them crashes every command."
    ),
]


@app.command("list")
def list_all(
    config: ConfigOption = "base",
    plugins: PluginsOption = None,
    no_import: NoImportOption = False,
    as_json: JsonOption = False,
) -> None:
    """List plugins with state and reason.

    All are imported, one at a time, to learn whether they work.
    """
    import json

    from mfl_adapt.plugin.describe import describe_plugin
    from mfl_adapt.plugin.registry import load_plugins

    loaded = read_config(config, plugins=plugins)
    host = load_plugins(
        loaded.config.plugins,
        disabled=loaded.removed,
        all_available=True,
        strict=False,
        imports=not no_import,
    )
    rows = [describe_plugin(plugin) for plugin in host.plugins()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        what = row["reason"] or ", ".join(one["name"] for one in row["components"])
        supplier = f"{row['distribution']} {row['version']}".rstrip()
        typer.echo(f"{row['name']:<{width}}  {row['state']:<12}  {supplier}  {what}".rstrip())


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a plugin, or path of a single-file one.")],
    as_json: JsonOption = False,
) -> None:
    """Show the components of a plugin and their settings."""
    import json

    from mfl_adapt.plugin.describe import describe_plugin
    from mfl_adapt.plugin.disabled import refuse_disabled
    from mfl_adapt.plugin.registry import load_plugins

    refuse_disabled([name])
    host = load_plugins([name])
    row = describe_plugin(next(one for one in host.plugins() if one.state == "active"))
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    typer.echo(f"{row['name']} of {row['distribution']} {row['version']}".rstrip())
    for component in row["components"]:
        typer.echo(f"\n{component['slot']} {component['name']}: {component['summary']}")
        if "caution" in component:
            typer.echo(f"  Caution: {component['caution']}")
        for setting in component["settings"]:
            line = f"  {setting['name']}: {setting['type']} = {setting['default']}"
            typer.echo(f"{line}  {setting['description']}".rstrip())
    observers = [hook for hook in row["hooks"] if hook != "register_components"]
    if observers:
        typer.echo(f"\nobserves: {', '.join(observers)}")
