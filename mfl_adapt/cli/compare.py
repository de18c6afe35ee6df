"""``mfl-adapt compare``: hold runs against the first one of them."""

from pathlib import Path
from typing import Annotated, Literal

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
    leave_one: Annotated[
        Literal["camera", "session", "animal"] | None,
        typer.Option(
            "--leave-one", help="Gather runs that were each trained without one of these."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print scores, paired differences with intervals, and whether they are more than noise.

    With --leave-one, print what each run scores on what it did without, and the mean of that.
    """
    import json

    from mfl_adapt.evaluate.compare import compare_runs
    from mfl_adapt.evaluate.left_out_runs import gather_runs
    from mfl_adapt.evaluate.stored_scores import read_scores

    read = [read_scores(run) for run in runs]
    found = compare_runs(read) if leave_one is None else gather_runs(leave_one, read)
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else found.table())
