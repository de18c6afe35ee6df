"""``mfl-adapt train``: train an adapter on a frozen base."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import PluginsOption, SetOption, new_app, open_config

app = new_app()


@app.command(help="Train an adapter on a frozen base.")
def train(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Preset, or path of a .yaml file.")
    ] = "quickstart",
    plugins: PluginsOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Dataset folder or list file.")
    ] = None,
    overrides: SetOption = None,
    steps: Annotated[int | None, typer.Option(help="Number of optimizer steps.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run and its folder.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train although the data break a law.")
    ] = False,
) -> None:
    """Train, evaluate and write a run folder; without --data, on procedural mice."""
    flags = {
        "data.path": None if data is None else str(data),
        "train.steps": steps,
        "name": name,
        "train.force": force or None,
    }
    loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.cli.progress import TrainingProgress
    from mfl_adapt.train.run import run_training

    with TrainingProgress() as progress:
        result = run_training(loaded, host, progress)
    folder = result.session.folder.path
    if result.evaluation is None:
        typer.echo(f"stopped after {result.steps} steps; the adapter is in {folder / 'adapter'}")
        return
    typer.echo(result.evaluation.table())
    typer.echo(result.evaluation.verdict())
    typer.echo(f"adapter   {folder / 'adapter'}")
    typer.echo(f"pictures  {folder / 'samples'}")
