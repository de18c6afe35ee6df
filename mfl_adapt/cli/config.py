"""``mfl-adapt config``: show, validate and describe run configurations."""

from typing import Annotated

import typer

from mfl_adapt.cli.options import (
    ConfigArgument,
    JsonOption,
    PluginsOption,
    SetOption,
    new_app,
    open_config,
    read_config,
)

app = new_app("Show, validate and describe run configurations.")


@app.command()
def show(
    source: ConfigArgument = "base",
    overrides: SetOption = None,
    plugins: PluginsOption = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Print where each value comes from.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a configuration, all presets resolved."""
    import json

    from mfl_adapt.config import describe_origins, dump_config, to_plain

    if plugins:
        loaded, _ = open_config(source, overrides=overrides, plugins=plugins)
    else:  # nothing can claim a slot, so a broken plugin does not keep anybody from looking
        loaded = read_config(source, overrides=overrides)
    if origin:
        rows = describe_origins(loaded)
        keys = ("key", "value", "kind", "place")
        if as_json:
            typer.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
            return
        for key, value, kind, place in rows:
            typer.echo(f"{key} = {json.dumps(value)}  # {place if place != kind else kind}")
        return
    typer.echo(
        json.dumps(to_plain(loaded.config), indent=2)
        if as_json
        else dump_config(loaded.config).rstrip()
    )


@app.command()
def validate(
    source: ConfigArgument, overrides: SetOption = None, plugins: PluginsOption = None
) -> None:
    """Check every key, also those of plugins."""
    from mfl_adapt.config import validate_components

    loaded, host = open_config(source, overrides=overrides, plugins=plugins)
    validate_components(loaded, host)
    typer.echo(f"{loaded.source}: valid")


@app.command()
def presets(as_json: JsonOption = False) -> None:
    """List the configurations that ship with it."""
    import json

    from mfl_adapt.config import list_presets

    found = list_presets()
    if as_json:
        typer.echo(json.dumps([{"name": one.name, "summary": one.summary} for one in found]))
        return
    width = max(len(one.name) for one in found)
    for one in found:
        typer.echo(f"{one.name:<{width}}  {one.summary}")


@app.command()
def schema() -> None:
    """Print the JSON schema, for editors."""
    import json

    from mfl_adapt.config import RunConfig

    typer.echo(json.dumps(RunConfig.model_json_schema(), indent=2))
