"""``mfl-adapt adapter``: look at adapter folders and prove what they do."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfl_adapt.cli.options import JsonOption, new_app

if TYPE_CHECKING:
    from mfl_adapt.plugin import Base

app = new_app()

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Adapter folder.")]


@app.command()
def inspect(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Say what an adapter is, from its passport and headers alone.

    Nothing of it is run and no weight is read. Adapters of peft, diffusers and kohya's scripts,
    which have no passport, are described as far as their files go.
    """
    import json

    from mfl_adapt.adapter.description import describe
    from mfl_adapt.adapter.facts import list_facts

    found = describe(folder)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
        return
    facts = list_facts(found)
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        typer.echo(f"{name:<{width}}  {text}")


@app.command()
def verify(
    folder: FolderArgument,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights of the base, where they do not ship with its plugin."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove an adapter on its base: files, weights, base, tensors, effect, merging, switching off.

    Ends with exit code 1 and the reason at the first thing that does not hold.
    """
    import json
    import sys
    from dataclasses import asdict

    from mfl_adapt.adapter.verify import verify as prove_folder
    from mfl_adapt.pipeline import open_base_of

    def open_base(passport: Mapping[str, Any]) -> "Base":
        return open_base_of(passport, where=str(folder), checkpoint=checkpoint)

    proofs = []
    try:
        for proof in prove_folder(folder, open_base):
            proofs.append(asdict(proof))
            if not as_json:
                typer.echo(f"ok  {proof.name:<10}  {proof.text}")
    finally:
        if as_json:
            error = sys.exception()
            reason = None if error is None else str(error)
            whole = {"adapter": str(folder), "proofs": proofs, "error": reason}
            typer.echo(json.dumps(whole, indent=2))


@app.command("list")
def list_all(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]...", help="Where to look; default: runs and adapters."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the adapters below folders; a broken one with its reason."""
    import json

    from mfl_adapt.adapter.description import find_adapters
    from mfl_adapt.adapter.facts import list_rows

    roots = folders or [one for one in (Path("runs"), Path("adapters")) if one.is_dir()]
    found = list(find_adapters(roots))
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in found], indent=2))
        return
    for row in list_rows(found):
        typer.echo(row)
    if not found:
        typer.echo(f"no adapters in {' and '.join(map(str, roots)) or 'runs or adapters'}")
