"""The command line: a table of commands, each in a module that is imported only when it runs.

A command's module offers ``app``, a ``typer.Typer``, and imports whatever is heavy inside its
bodies. Exit codes: 0 success, 1 a ``MflAdaptError`` as one line, 2 wrong usage, 130 interrupted.
"""

import importlib
import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mfl_adapt import __version__
from mfl_adapt.cli import external
from mfl_adapt.errors import MflAdaptError, did_you_mean

COMMANDS = {
    "train": "Train an adapter on a frozen base.",
    "plan": "Choose views, resolution and checkpointing that fit into memory.",
    "evaluate": "Measure an adapter on held-out views.",
    "compare": "Compare runs on the scenes that they share.",
    "report": "Write one offline HTML file about a run, finished or not.",
    "predict": "Turn pictures into six views, Gaussians and films.",
    "reconstruct": "Turn calibrated views into Gaussians and films.",
    "render": "Draw a file of Gaussians.",
    "view": "Look at Gaussians in the browser.",
    "doctor": "Look for what would make a run fail, before it starts.",
    "data": "Look at recordings, write dataset folders, measure and split them.",
    "cameras": "Look at cameras, normalize them, and map predictions back.",
    "adapter": "Look at adapters, prove, compare, change and publish them.",
    "base": "List, fetch and verify the frozen base models.",
    "prompts": "Make and check prompt embeddings, which tell views apart.",
    "config": "Show, validate and describe run configurations.",
    "plugins": "List, write, check, trace and switch off plugins.",
}
"""Core commands with their help line; command ``x`` lives in ``mfl_adapt.cli.x``."""


class LazyGroup(TyperGroup):
    """Knows its commands by name and help line, and imports one when it is invoked."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return core commands in the table's order, then those of other distributions."""
        return [*COMMANDS, *external.find_commands(COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"mfl_adapt.cli.{cmd_name}")
            return typer.main.get_command(module.app)
        found = external.find_commands(COMMANDS)
        if cmd_name in found:
            return external.load_command(cmd_name, found[cmd_name])
        return ctx.fail(
            f"No such command {cmd_name!r}. {did_you_mean(cmd_name, [*COMMANDS, *found])}"
        )

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing any."""
        rows = list(COMMANDS.items())
        for name, points in external.find_commands(COMMANDS).items():
            rows.append((name, f"Command of {external.suppliers(points)}."))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what the user can mend becomes one line on standard error.

        Raises:
            typer.Exit: With 1 after an error of ours, with 130 after an interruption.
        """
        try:
            return super().invoke(ctx)
        except MflAdaptError as error:
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            logging.getLogger(__name__).debug("the error came from here", exc_info=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=LazyGroup,
    add_completion=True,
    no_args_is_help=True,
    # Rich takes longer to import than all the rest, and its boxes are hard to read in a log.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    """Print the version and stop.

    Raises:
        typer.Exit: If the option was given.
    """
    if asked:
        typer.echo(f"mfl-adapt {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print version."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log details, also of what goes wrong.")
    ] = False,
) -> None:
    """Adapters that fit frozen FaceLift models to new species."""
    if verbose:
        from mfl_adapt.plugin.discovery import find_installed

        # Not the root: numba alone would fill the screen.
        for name in ("mfl_adapt", *(one.module for one in find_installed())):
            logging.getLogger(name).setLevel(logging.DEBUG)


def main() -> None:
    """Run the command line; the entry point of ``mfl-adapt``."""
    # Threads that spin while they wait cost a shared machine thirty times their share.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_worth_reading)
    app(prog_name="mfl-adapt")


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Pass warnings of anybody, and the rest only of our own rooms and plugins."""
    return record.levelno >= logging.WARNING or record.name.startswith("mfl_adapt")
