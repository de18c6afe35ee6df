"""``mfl-adapt train``: train an adapter on a frozen base."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import PluginsOption, SetOption, new_app, open_config

app = new_app()


@app.command(help="Train an adapter on a frozen base.")
def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG", help="Preset, or path of a .yaml file; quickstart if left out."
        ),
    ] = None,
    plugins: PluginsOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Dataset folder or list file.")
    ] = None,
    overrides: SetOption = None,
    steps: Annotated[int | None, typer.Option(help="Number of optimizer steps.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run and its folder.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with the run in this folder."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train although the data break a law.")
    ] = False,
) -> None:
    """Train, evaluate and write a run folder; without --data, on procedural mice.

    A run that was stopped or killed goes on from its newest sound checkpoint with --resume, with
    the settings in its folder.

    Raises:
        typer.BadParameter: If both a configuration and a run are named.
    """
    if resume is not None:
        if source is not None:
            raise typer.BadParameter(
                f"expected CONFIG or --resume, got both; {resume} has a configuration of its own.",
                param_hint="--resume",
            )
        from mfl_adapt.train.resume import find_run

        source = str(find_run(resume))
    flags = {
        "train.resume": None if resume is None else str(resume),
        "data.path": None if data is None else str(data),
        "train.steps": steps,
        "name": name,
        "train.force": force or None,
    }
    loaded, host = open_config(
        source or "quickstart", overrides=overrides, plugins=plugins, flags=flags
    )

    from mfl_adapt.cli.progress import TrainingProgress
    from mfl_adapt.train.run import run_training

    with TrainingProgress() as progress:
        result = run_training(loaded, host, progress)
    folder = result.session.folder.path
    if result.evaluation is None:
        typer.echo(f"stopped after {result.steps} steps; the adapter is in {folder / 'adapter'}")
        typer.echo("\n".join([f"to go on: mfl-adapt train --resume {folder}", *result.notes]))
        return
    typer.echo(result.evaluation.table())
    typer.echo("\n".join([result.evaluation.verdict(), *result.notes]))
    typer.echo(f"adapter   {folder / 'adapter'}")
    typer.echo(f"pictures  {folder / 'samples'}")
