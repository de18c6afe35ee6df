"""``mfl-adapt adapter``: compare, combine and change adapters."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

app = new_app()

FolderArgument = Annotated[Path, typer.Argument(metavar="ADAPTER", help="Adapter folder.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Weights of the base, where they do not ship with its plugin."
    ),
]


@app.command(help="Compare what two adapters do to each layer.")
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="Adapter folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Adapter folder.")],
    any_base: Annotated[
        bool, typer.Option("--any-base", help="Compare adapters of different bases too.")
    ] = False,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print cosine and norms of the updates, layer by layer."""
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.compose_diff import compare

    found = compare(
        read_adapter(first),
        read_adapter(second),
        lambda stored: _open(stored, checkpoint),
        any_base=any_base,
    )
    _print(found.to_json() if as_json else found.table())


@app.command(help="Make one adapter of several, and measure it on the data of each.")
def merge(
    adapters: Annotated[list[Path], typer.Argument(metavar="A B...", help="Adapter folders.")],
    out: OutOption,
    method: Annotated[
        Literal["linear", "ties", "dare_linear", "dare_ties"], typer.Option(help="How to merge.")
    ] = "linear",
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="0.5,0.5", help="Factor of each; default equal shares, for TIES 1 each."
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(help="Share of each update that is kept, not for linear; default 0.5."),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(
            metavar="R|cat",
            help="Of the result; cat is the sum of all ranks, which loses nothing with linear.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of DARE's choice; default 0.")
    ] = None,
    no_evaluate: Annotated[bool, typer.Option("--no-evaluate", help="Measure nothing.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Measure on so many scenes of each.")
    ] = None,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge, measure and print the scores."""
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.compose_merge import Recipe, read_rank, read_weights
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.evaluate.merging import merge_and_measure
    from mfl_adapt.evaluate.sources import to_table

    recipe = Recipe(method, read_weights(weights), density, read_rank(rank), seed)
    stored = [read_adapter(folder) for folder in adapters]
    base = _open(stored[0], checkpoint)
    with Bars() as bars:
        merged, scores = merge_and_measure(
            base,
            stored,
            out,
            recipe,
            evaluate=not no_evaluate,
            limit=limit,
            report=bars.advance,
        )
    if as_json:
        measured = [one.to_json() for one in scores]
        _print({"out": str(out), "merge": merged.to_json(), "sources": measured})
        return
    table = [to_table(scores)] if scores else []
    _print("\n".join([merged.line(), *table, f"adapter   {out}"]))


@app.command(help="Make an adapter whose full strength is another strength of this one.")
def scale(
    adapter: FolderArgument,
    factor: Annotated[float, typer.Argument(metavar="FACTOR", help="For instance 0.5.")],
    out: OutOption,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bake a strength into the weights."""
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.compose_files import scale_folder

    stored = read_adapter(adapter)
    scale_folder(_open(stored, checkpoint), stored, factor, out)
    _print({"out": str(out), "factor": factor} if as_json else f"adapter   {out}")


@app.command(help="Bring an adapter to another rank, with the least error.")
def resize(
    adapter: FolderArgument,
    out: OutOption,
    rank: Annotated[
        int | None, typer.Option(metavar="R", help="Greatest rank of every layer.")
    ] = None,
    energy: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Keep this share of each update, 0.99.")
    ] = None,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the relative error per layer and how far the output moved."""
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.compose_files import resize_folder

    stored = read_adapter(adapter)
    resized = resize_folder(_open(stored, checkpoint), stored, out, rank=rank, energy=energy)
    _print(
        {"out": str(out), **resized.to_json()} if as_json else f"{resized.text()}\nadapter   {out}"
    )


@app.command(help="Turn an adapter into the files of another program, or such files into one.")
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Adapter folder, or what --from names.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="PATH", help="File or folder to make.")
    ],
    to: Annotated[
        Literal["peft", "diffusers", "kohya", "base"] | None, typer.Option(help="Target format.")
    ] = None,
    from_: Annotated[
        Literal["peft", "diffusers", "kohya", "base"] | None,
        typer.Option("--from", help="Format of SOURCE, which becomes an adapter folder."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --from: the base that it is for.")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(metavar="R", help="With --from base: greatest rank.")
    ] = None,
    checkpoint: CheckpointOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert one way or the other.

    Raises:
        typer.BadParameter: If the options name no direction, or mix the two.
    """
    if (to is None) == (from_ is None):
        raise typer.BadParameter("give --to FORMAT, or --from FORMAT with --base NAME")
    if (from_ is None) != (base is None):
        raise typer.BadParameter("--base NAME belongs to --from, and only to it")
    if to is not None and (rank is not None or plugins or overrides):
        raise typer.BadParameter("--rank, --plugins and --set belong to --from")

    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.pipeline import open_base
    from mfl_adapt.pipeline.convert import convert_from, convert_to

    if to is not None:
        stored = read_adapter(source)
        done = convert_to(stored, to, out, lambda: _open(stored, checkpoint))
    else:
        flags = {
            "base.id": base,
            "base.checkpoint": None if checkpoint is None else str(checkpoint),
        }
        loaded, host = open_config(None, overrides=overrides, plugins=plugins, flags=flags)
        opened, named = open_base(loaded.config, host), loaded.config.base
        done = convert_from(
            source,
            str(from_),
            opened,
            out,
            settings={} if named is None else named.settings,
            host=host,
            rank=rank,
        )
    _print(done.to_json() if as_json else done.text())


def _open(stored: Any, checkpoint: Path | None) -> Any:
    """Open the base of a stored adapter."""
    from mfl_adapt.pipeline import open_base_of

    return open_base_of(stored.passport, where=str(stored.folder), checkpoint=checkpoint)


def _print(found: Any) -> None:
    """Print text, or anything else as JSON."""
    import json

    typer.echo(found if isinstance(found, str) else json.dumps(found, indent=2))
