"""``mfl-adapt report``: one HTML file about a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

if TYPE_CHECKING:
    from mfl_adapt.evaluate.stored_run import StoredRun

app = new_app()


@app.command(help="Write one offline HTML file about a run, finished or not.")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of mfl-adapt train.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.html", help="Default: report.html in RUN."),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Strengths to measure; default some from 0 to 1.25."),
    ] = None,
    scenes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Scenes to measure on; default 6, of views 2."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Measure nothing: no strengths, no 3-D but what is kept."),
    ] = False,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the page, say where it is, and what it lacks.

    Raises:
        typer.BadParameter: If something is to be measured, and nothing.
    """
    import json
    from functools import partial

    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.report.run import write_report

    given = {"strengths": strengths, "scenes": scenes, "plugins": plugins, "set": overrides}
    asked = {name: value for name, value in given.items() if value} or None
    if quick and asked:
        raise typer.BadParameter("--quick measures nothing: leave out what else you asked for.")
    with Bars() as bars:
        read = partial(open_config, str(run / "config.yaml"), overrides=overrides, plugins=plugins)

        def measurer() -> "StoredRun":
            from mfl_adapt.evaluate.stored_run import StoredRun
            from mfl_adapt.evaluate.strengths import read_asked

            return StoredRun(run, read, asked=read_asked(strengths, scenes), report=bars.advance)

        found = write_report(run, out, measurer=None if quick else measurer, asked=asked)
    if as_json:
        told = {"page": str(found.path), "bytes": found.size}
        told |= {"verdict": found.verdict, "missing": list(found.missing)}
        typer.echo(json.dumps(told, indent=2))
        return
    for line in found.missing:
        typer.echo(f"missing   {line}", err=True)
    typer.echo(f"verdict   {found.verdict}")
    typer.echo(f"report    {found.path} ({found.size / 1e6:.1f} MB)")
