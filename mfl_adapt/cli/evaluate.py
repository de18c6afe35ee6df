"""``mfl-adapt evaluate``: measure the adapter of a run on held-out views."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import (
    JsonOption,
    PluginsOption,
    SetOption,
    new_app,
    open_config,
    read_adapters,
)

app = new_app()


@app.command(help="Measure an adapter on held-out views.")
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of mfl-adapt train.")],
    adapters: Annotated[
        list[str] | None,
        typer.Option(
            "--adapter",
            metavar="FOLDER[@STRENGTH]",
            help="Other adapters than the run's own; several act together.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Another dataset.")
    ] = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the scores of white, mean colour, frozen base and adapted model."""
    import json

    chosen = read_adapters(adapters or [str(run / "adapter")])
    flags = {"data.path": None if data is None else str(data)}
    source = str(run / "config.yaml")
    loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.evaluate.stored import evaluate_adapter

    found = evaluate_adapter(loaded, host, *chosen)
    typer.echo(
        json.dumps(found.to_json(), indent=2) if as_json else f"{found.table()}\n{found.verdict()}"
    )
