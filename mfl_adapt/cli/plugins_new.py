"""``mfl-adapt plugins new``: write the package of a new plugin."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, new_app

app = new_app()


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What users will type after --plugins.")],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="dataset, loss, camera, preprocessor, check or adapter.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="New or empty folder; mfl-adapt-NAME if left."
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Who holds the copyright.")
    ] = None,
    licence: Annotated[
        str,
        typer.Option("--licence", metavar="SPDX", help="Apache-2.0, MIT or BSD-3-Clause."),
    ] = "Apache-2.0",
    as_json: JsonOption = False,
) -> None:
    """Write the package of a new plugin: example code that works, its tests, and all around it."""
    import json
    from dataclasses import asdict

    from mfl_adapt.plugin.discovery import find_installed
    from mfl_adapt.scaffold import write_package

    made = write_package(
        name,
        kind,
        taken={one.name: one.distribution for one in find_installed()},
        folder=folder,
        author=author,
        licence=licence,
    )
    if as_json:
        typer.echo(json.dumps(asdict(made), indent=2, default=str))
        return
    for path in made.files:
        typer.echo(made.folder / path)
    typer.echo(f"\npip install -e {made.folder}")
    typer.echo(f"mfl-adapt train {made.usage}")
