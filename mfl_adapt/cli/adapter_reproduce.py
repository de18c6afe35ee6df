"""``mfl-adapt adapter``: rebuild the run that made an adapter."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app

if TYPE_CHECKING:
    from mfl_adapt.train.reproduce import Reproduction

app = new_app()


@app.command()
def reproduce(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Adapter folder.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Where its data are here.")
    ] = None,
    overrides: SetOption = None,
    plugins: PluginsOption = None,
    inputs_only: Annotated[
        bool, typer.Option("--inputs-only", help="Compare the inputs; train nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Repeat the run that made an adapter, and say which inputs differ.

    Configuration, plugins, seeds and number of threads come from its passport. Exit code 0 if the
    new adapter is the same, bit for bit; 1 if it is not.
    """
    import json

    from mfl_adapt.cli.progress import TrainingProgress
    from mfl_adapt.train.reproduce import RecordedRun

    flags = {"data.path": None if data is None else str(data)}
    recorded = RecordedRun(folder, overrides=overrides or [], flags=flags, plugins=plugins or [])
    if inputs_only:
        found = recorded.compare()
    else:
        with TrainingProgress() as progress:
            found = recorded.run(progress)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)
    found.check()


def _show(found: "Reproduction") -> None:
    same = found.inputs - len(found.differences)
    typer.echo(f"inputs   {same} of {found.inputs} as in the passport")
    for difference in found.differences:
        typer.echo(f"differs  {difference}")
    if found.folder is not None:
        typer.echo(f"adapter  {found.folder / 'adapter'}")
    if found.identical:
        typer.echo(f"same     adapter_hash {found.recorded_hash}, bit for bit")
