"""``mfl-adapt compare``: hold runs against the first one of them."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, new_app

app = new_app()


@app.command(help="Compare runs on the scenes that they share.")
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, the reference first; or files of mfl-adapt evaluate --json.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Print scores, paired differences with intervals, and whether they are more than noise."""
    import json

    from mfl_adapt.evaluate.compare import compare_runs
    from mfl_adapt.evaluate.stored_scores import read_scores

    found = compare_runs([read_scores(run) for run in runs])
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else found.table())
