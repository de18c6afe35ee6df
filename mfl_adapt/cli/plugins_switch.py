"""``mfl-adapt plugins disable`` and ``enable``: switch plugins off for good, and on again.

Neither imports a plugin, so both work while a plugin crashes everything else.
"""

from typing import Annotated

import typer

from mfl_adapt.cli.options import new_app

app = new_app()

NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names of installed plugins.")
]


@app.command()
def disable(names: NamesArgument) -> None:
    """Never import plugins again, in no command, until you enable them."""
    from mfl_adapt.plugin import disabled

    fresh = disabled.disable(names)
    for name in names:
        said = "disabled" if name in fresh else "was disabled before"
        typer.echo(f"{name}: {said}; `mfl-adapt plugins enable {name}` undoes it")


@app.command()
def enable(names: NamesArgument) -> None:
    """Allow plugins again that you disabled."""
    from mfl_adapt.plugin import disabled

    freed = disabled.enable(names)
    for name in names:
        typer.echo(f"{name}: {'enabled' if name in freed else 'was not disabled'}")
