"""``mfl-adapt adapter``: publish adapters and fetch them."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import JsonOption, new_app

app = new_app()


@app.command("publish")
def publish(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Adapter folder.")],
    to: Annotated[
        str, typer.Option("--to", metavar="PLACE", help="hub:OWNER/NAME, or a folder of adapters.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="In a folder of adapters; default: that of the run."),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Heading of the model card.")] = "",
    species: Annotated[str, typer.Option(metavar="TEXT", help="What it was trained for.")] = "",
    author: Annotated[str, typer.Option(metavar="TEXT", help="Whom to name.")] = "",
    data_statement: Annotated[
        str, typer.Option(metavar="TEXT", help="Where the data come from, who may have them.")
    ] = "",
    limits: Annotated[
        str, typer.Option(metavar="TEXT", help="What it must not be used for, or does badly.")
    ] = "",
    licence: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of the adapter; inherited ones are carried anyway."),
    ] = None,
    pictures: Annotated[
        list[Path] | None,
        typer.Option("--picture", metavar="FILE", help="PNG or JPEG for the card; repeatable."),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Branch of the hub, or what a folder calls this state."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository of the hub private.")
    ] = False,
    redact: Annotated[
        bool,
        typer.Option("--redact", help="Shorten absolute paths in the passport to their last part."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another adapter of that name.")
    ] = False,
    flat: Annotated[
        bool,
        typer.Option("--flat", help="Write PLACE/NAME without a folder for the revision."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify an adapter, write its model card, and publish it whole or not at all.

    Secrets, absolute paths and names of people and machines are refused, and so is dropping a
    licence that comes with the base. The token for a hub is HF_TOKEN or that of `hf auth login`;
    HF_ENDPOINT is honoured.
    """
    import json
    from dataclasses import asdict

    from mfl_adapt.hub import Choices, Words, publish_adapter

    words = Words(
        title=title,
        species=species,
        author=author,
        data=data_statement,
        limits=limits,
        licence=licence,
        pictures=tuple(pictures or ()),
    )
    choices = Choices(
        name=name, revision=revision, private=private, redact=redact, replace=replace, flat=flat
    )
    done = publish_adapter(folder, to, words, choices)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2))
        return
    typer.echo(f"adapter   {done.adapter_hash}")
    typer.echo(f"place     {done.place} at {done.revision}")
    typer.echo(f"licence   {', '.join(done.licence)}")
    typer.echo(f"files     {len(done.files)}, {done.size:,} bytes")
    if done.redacted:
        typer.echo("redacted  paths and names in its passport; its weights are the same")
    typer.echo(f"pull      {done.pull}")


@app.command("pull")
def pull(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="hub:OWNER/NAME[@REVISION], a NAME with --from, or an adapter folder.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")],
    registry: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="Folder of adapters with a registry.toml."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network: take what was pulled before.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch an adapter, and verify it before it is there.

    A download that breaks off goes on where it stopped; what was downloaded stays below
    ~/.cache/mfl_adapt, or below the folder that MFL_HOME names. HF_ENDPOINT, HF_TOKEN and
    HF_HUB_OFFLINE are honoured.
    """
    import json
    from dataclasses import asdict

    from mfl_adapt.hub import pull_adapter

    done = pull_adapter(source, out, registry=registry, offline=offline)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2, default=str))
        return
    typer.echo(f"adapter   {done.adapter_hash}")
    typer.echo(f"base      {done.base}")
    typer.echo(f"licence   {done.licence or 'not stated'}")
    typer.echo(f"source    {done.source}{f' at {done.revision}' if done.revision else ''}")
    typer.echo(f"folder    {done.folder}: {len(done.files)} files, verified")
