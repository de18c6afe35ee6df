"""``mfl-adapt base``: the frozen base models that plugins offer."""

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, new_app, read_config

app = new_app("List the frozen base models.")


@app.callback()
def base() -> None:
    """List the frozen base models."""


@app.command("list")
def list_all(plugins: PluginsOption = None, as_json: JsonOption = False) -> None:
    """List every base model of the active plugins with the picture size it expects."""
    import json

    from mfl_adapt.plugin import BaseSpec
    from mfl_adapt.plugin.registry import load_plugins

    loaded = read_config(None, plugins=plugins)
    host = load_plugins(loaded.config.plugins, disabled=loaded.removed)
    found = host.components(BaseSpec)
    if as_json:
        rows = [
            {
                "id": one.name,
                "summary": one.spec.summary,
                "size": one.spec.contract.size,
                "distribution": one.distribution,
            }
            for one in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        size = one.spec.contract.size
        typer.echo(f"{one.name:<{width}}  {size} x {size} px  {one.spec.summary}")
