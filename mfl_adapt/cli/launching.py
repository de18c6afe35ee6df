"""Commands that may run in several processes: ``--launch N`` and what follows ``--``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from mfl_adapt.config import LoadedConfig

LaunchOption = Annotated[
    int | None,
    typer.Option(
        "--launch",
        metavar="N",
        min=1,
        help="Start N processes here; flags after -- are those of accelerate launch.",
    ),
]


class Words(NamedTuple):
    """What a user typed after the name of a command.

    Attributes:
        own: For each of the processes: without ``--launch`` and what follows ``--``.
        flags: What follows ``--``.
    """

    own: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class LaunchingCommand(TyperCommand):
    """Keeps what follows ``--`` for the launcher of processes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the launcher's words out, and parse the rest."""
        end = args.index("--") if "--" in args else len(args)
        own, flags = args[:end], args[end + 1 :]
        ctx.meta[__name__] = Words(tuple(_without_launch(own)), tuple(flags))
        return super().parse_args(ctx, own)


def words_of(ctx: typer.Context, launch: int | None) -> Words:
    """Return what the user typed.

    Args:
        ctx: Of the command.
        launch: What ``--launch`` says.

    Raises:
        typer.BadParameter: If there are flags for a launcher and none was asked for, or two are.
    """
    words: Words = ctx.meta[__name__]
    if words.flags and launch is None:
        raise typer.BadParameter(
            f"expected --launch N beside flags after --, got {words.flags[0]} alone.",
            param_hint="--launch",
        )
    from mfl_adapt.train.launched import is_one_of_several

    if launch is not None and is_one_of_several():
        raise typer.BadParameter(
            "expected one launcher, got this option in a process that another one has started. "
            "Leave it out.",
            param_hint="--launch",
        )
    verbose = ("--verbose",) if is_verbose(ctx) else ()
    return Words((*verbose, *ctx.command_path.split()[1:], *words.own), words.flags)


def is_verbose(ctx: typer.Context) -> bool:
    """Whether the user wants details."""
    return bool(ctx.find_root().params.get("verbose"))


def launch_processes(words: Words, launch: int, loaded: LoadedConfig) -> bool:
    """Run a command in several processes, and return when they have ended well.

    Args:
        words: Of ``words_of``.
        launch: How many processes.
        loaded: The run's configuration.

    Returns:
        False if there is only one, for which no other process is needed.
    """
    if launch == 1 and not words.flags:
        return False
    from mfl_adapt.train.launch import launch as start

    start(words.own, launch, words.flags, loaded.config.train)
    return True


def _without_launch(args: Sequence[str]) -> Iterator[str]:
    """Leave the option and its value out."""
    words = iter(args)
    for word in words:
        if word == "--launch":
            next(words, None)
        elif not word.startswith("--launch="):
            yield word
