"""``mfl-adapt evaluate``: measure the adapter of a run on held-out views."""

from pathlib import Path
from typing import Annotated, Literal

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
    leave_one: Annotated[
        Literal["camera", "session", "animal"] | None,
        typer.Option("--leave-one", help="Score with one of these left out at a time, too."),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", metavar="PATH", help="Dataset of the base's own domain."),
    ] = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the scores of white, mean colour, frozen base and adapted model."""
    import json

    from mfl_adapt.evaluate.stored_scores import check_run

    chosen = read_adapters(adapters or [str(run / "adapter")])
    check_run(run)
    flags = {
        "data.path": None if data is None else str(data),
        "evaluate.home": None if home is None else str(home),
    }
    source = str(run / "config.yaml")
    loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.evaluate.stored import evaluate_adapter

    with Bars() as bars:
        found = evaluate_adapter(loaded, host, *chosen, leave_one=leave_one, report=bars.advance)
    typer.echo(
        json.dumps(found.to_json(), indent=2) if as_json else f"{found.table()}\n{found.verdict()}"
    )
