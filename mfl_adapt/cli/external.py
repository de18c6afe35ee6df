"""Commands that other distributions add through the entry-point group ``mfl_adapt.commands``."""

import logging
from collections.abc import Collection, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from mfl_adapt.errors import PluginError

logger = logging.getLogger(__name__)

GROUP = "mfl_adapt.commands"


def find_commands(core: Collection[str]) -> dict[str, list[EntryPoint]]:
    """Return the commands of other distributions by name, sorted; imports none.

    A command that is named like a core one is left out: it cannot take its place.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        if point.name in core:
            logger.warning(
                "command %r of %s is ignored: mfl_adapt has a command of that name",
                point.name,
                suppliers([point]),
            )
        else:
            found.setdefault(point.name, []).append(point)
    return found


def suppliers(points: Sequence[EntryPoint]) -> str:
    """Name the distributions of some entry points."""
    names = {point.dist.name if point.dist else "an unknown one" for point in points}
    return " and ".join(sorted(names))


def load_command(name: str, points: Sequence[EntryPoint]) -> Any:
    """Import the command of another distribution.

    Args:
        name: What the user typed.
        points: Every entry point of that name; its value names a ``typer.Typer`` or a function.

    Raises:
        PluginError: If two distributions offer it, its import fails, or it is no command.
    """
    from mfl_adapt.plugin.discovery import Candidate, isolated

    if len(points) > 1:
        raise PluginError(
            f"command {name!r}: expected one distribution that offers it, got "
            f"{suppliers(points)}. Uninstall one of them."
        )
    point = points[0]
    with isolated(Candidate(name, point.value, suppliers(points)), f"importing {point.value}"):
        command = point.load()
    if isinstance(command, typer.Typer):
        return typer.main.get_command(command)
    if hasattr(command, "make_context"):
        return command
    if not callable(command):
        raise PluginError(
            f"command {name!r} of {suppliers(points)}: expected a typer.Typer or a function, got "
            f"{command!r}."
        )
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command()(command)
    return typer.main.get_command(single)
