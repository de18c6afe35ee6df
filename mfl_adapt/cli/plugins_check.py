"""``mfl-adapt plugins check``: hold a plugin against the rules of its slots."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, new_app

app = new_app()


@app.command(help="Check that a plugin keeps the promises of its slots; exit 1 if it breaks one.")
def check(
    name: Annotated[str, typer.Argument(help="Name of a plugin, or path of a single-file one.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Small example of what its readers read."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="RULE", help="Rules by the start of a name; repeatable."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="COMPONENT.KEY=VALUE", help="Setting of a component; repeatable."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a plugin against the rules of its slots.

    Raises:
        typer.Exit: With 1 if a rule fails.
    """
    import json

    from mfl_adapt.config.overrides import from_overrides
    from mfl_adapt.plugin.disabled import refuse_disabled
    from mfl_adapt.plugin.testing import check_plugin

    refuse_disabled([name])
    report = check_plugin(name, data, only, from_overrides(overrides or []).data)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        typer.echo("\n".join(report.lines()))
    if report.failed:
        raise typer.Exit(1)
