"""``mfl-adapt train``: train an adapter on a frozen base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.launching import (
    LaunchingCommand,
    LaunchOption,
    is_verbose,
    launch_processes,
    words_of,
)
from mfl_adapt.cli.options import PluginsOption, SetOption, new_app, open_config

if TYPE_CHECKING:
    from mfl_adapt.config import LoadedConfig
    from mfl_adapt.plugin.registry import PluginHost

app = new_app()


@app.command(cls=LaunchingCommand, help="Train an adapter on a frozen base.")
def train(
    ctx: typer.Context,
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
    rehearse: Annotated[
        bool,
        typer.Option("--dry-run", help="Take a few steps, keep nothing, and say what a run takes."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: print JSON for scripts.")
    ] = False,
    launch: LaunchOption = None,
) -> None:
    """Train, evaluate and write a run folder; without --data, on procedural mice.

    A run that was stopped or killed goes on from its newest sound checkpoint with --resume, with
    the settings in its folder.

    With --launch 2, two processes on this machine share each batch; the numbers stay those of one.

    Raises:
        typer.BadParameter: If options do not go together.
    """
    words = words_of(ctx, launch)
    if rehearse and launch is not None:
        raise typer.BadParameter("expected --dry-run or --launch, got both.", param_hint="--launch")
    if rehearse and resume is not None:
        raise typer.BadParameter(
            "expected --dry-run or --resume, got both; a run that goes on has been tried.",
            param_hint="--dry-run",
        )
    if as_json and not rehearse:
        raise typer.BadParameter("expected --dry-run beside it, got none.", param_hint="--json")
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
    from mfl_adapt.train.launched import as_one_of_several

    with as_one_of_several(verbose=is_verbose(ctx)):
        loaded, host = open_config(
            source or "quickstart", overrides=overrides, plugins=plugins, flags=flags
        )
        _look_at_paths(loaded)
        if launch is not None and launch_processes(words, launch, loaded):
            return
        if rehearse:
            _rehearse(loaded, host, as_json=as_json)
            return
        _train(loaded, host)


def _look_at_paths(loaded: LoadedConfig) -> None:
    """Say of a mistyped path what is wrong with it, and not only when torch is loaded.

    Raises:
        DataError: If there are no such data.
        TrainingError: If there is no such run.
    """
    from mfl_adapt.config import find_missing_data
    from mfl_adapt.train.resume import find_run

    for problem in find_missing_data(loaded.config):
        raise problem
    if loaded.config.train.resume is not None:
        find_run(loaded.config.train.resume)


def _train(loaded: LoadedConfig, host: PluginHost) -> None:
    """Train, and print what came out."""
    from mfl_adapt.cli.progress import TrainingProgress
    from mfl_adapt.train.run import run_training

    with TrainingProgress() as progress:
        result = run_training(loaded, host, progress)
    folder, processes = result.session.folder.path, result.session.processes
    if not processes.is_main:
        return
    if result.evaluation is None:
        typer.echo(f"stopped after {result.steps} steps; the adapter is in {folder / 'adapter'}")
        again = f" --launch {processes.count}" if processes.count > 1 else ""
        typer.echo(f"to go on: mfl-adapt train --resume {folder}{again}")
        typer.echo("\n".join(result.notes), nl=bool(result.notes))
        return
    typer.echo(result.evaluation.table())
    typer.echo("\n".join([result.evaluation.verdict(), *result.notes]))
    typer.echo(f"adapter   {folder / 'adapter'}")
    typer.echo(f"pictures  {folder / 'samples'}")


def _rehearse(loaded: LoadedConfig, host: PluginHost, *, as_json: bool) -> None:
    """Print what a run would take."""
    import json

    from mfl_adapt.train.dry_run import dry_run

    found = dry_run(loaded, host)
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else found.to_text())
