"""``mfl-adapt plugins trace``: train for a few steps and show what plugins do meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import PluginsOption, SetOption, new_app, open_config

if TYPE_CHECKING:
    from mfl_adapt.doctor import Report
    from mfl_adapt.plugin.tracing import Call
    from mfl_adapt.train.records import Step
    from mfl_adapt.train.session import Session

app = new_app()


@app.command()
def trace(
    source: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Preset, or path of a .yaml file.")
    ] = "quickstart",
    plugins: PluginsOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Dataset folder or list file.")
    ] = None,
    overrides: SetOption = None,
    steps: Annotated[int, typer.Option(help="Number of optimizer steps.")] = 3,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train although the data break a law.")
    ] = False,
    first: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Print only the first N calls of each method."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, and no summary.")
    ] = False,
) -> None:
    """Train for a few steps and print every hook and every call of a component, as each ends.

    The summary counts all calls, also those that --first leaves out. The run folder is deleted.
    """
    from tempfile import TemporaryDirectory

    from mfl_adapt.plugin import tracing
    from mfl_adapt.plugin.tracing_report import add_up, to_table

    calls = CallPrinter(first, as_json=as_json)
    try:
        with TemporaryDirectory() as folder, tracing.trace(calls.add):
            flags = {
                "data.path": None if data is None else str(data),
                "train.steps": steps,
                "name": name,
                "train.force": force or None,
                "output": folder,
            }
            loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)

            from mfl_adapt.train.run import run_training

            run_training(loaded, host, Silence())
    finally:
        if calls.seen and not as_json:
            typer.echo("\n".join(["", *to_table(add_up(calls.seen))]))


class CallPrinter:
    """Prints calls and keeps them."""

    def __init__(self, first: int | None, *, as_json: bool) -> None:
        self.seen: list[Call] = []
        self._first, self._as_json = first, as_json
        self._counts: dict[object, int] = {}

    def add(self, call: Call) -> None:
        """Keep a call, and print it unless enough of its kind were printed."""
        import json

        from mfl_adapt.plugin.tracing_report import to_json, to_line

        self.seen.append(call)
        key = (call.source, call.method)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._first is None or self._counts[key] <= self._first:
            typer.echo(json.dumps(to_json(call)) if self._as_json else to_line(call))


class Silence:
    """Listens to a run and says nothing: a progress bar would cut through the calls."""

    def opened(self, run: Session, report: Report) -> None:
        """Say nothing of the start."""

    def step(self, step: Step) -> None:
        """Say nothing of a step."""

    def evaluating(self, done: int, total: int) -> None:
        """Say nothing of the evaluation."""
