"""``mfl-adapt doctor``: look for what would make a run fail, before it starts."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

app = new_app()


@app.command(help="Look for what would make a run fail, before it starts.")
def doctor(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Preset, or path of a .yaml file.")
    ] = "quickstart",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Dataset folder or list file.")
    ] = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run all checks over the data.

    Raises:
        typer.Exit: With 1 if a law of the rig contract is broken.
    """
    import json

    flags = {"data.path": None if data is None else str(data)}
    loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.config import validate_components
    from mfl_adapt.doctor import to_json, to_lines
    from mfl_adapt.doctor.data import open_examined
    from mfl_adapt.pipeline import check_batches

    validate_components(loaded, host)
    opened, report = open_examined(loaded.config, host)
    typer.echo(json.dumps(to_json(report), indent=2) if as_json else "\n".join(to_lines(report)))
    # After the findings, which tell why the samples differ.
    check_batches(opened.samples, opened.policy, batch=loaded.config.train.batch)
    if report.laws:
        raise typer.Exit(1)
