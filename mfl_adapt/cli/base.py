"""``mfl-adapt base``: the frozen base models, where their weights come from and what they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

if TYPE_CHECKING:
    from mfl_adapt.hub import BaseStatus
    from mfl_adapt.plugin.registry import PluginHost

app = new_app("List, fetch and verify the frozen base models.")

IdArgument = Annotated[str, typer.Argument(metavar="BASE", help="For instance facelift.gslrm.")]


@app.command("list")
def list_all(plugins: PluginsOption = None, as_json: JsonOption = False) -> None:
    """List every base model: its pictures, its files, its licence.

    Fetched files lie below ~/.cache/mfl_adapt, or below the folder that MFL_HOME names.
    """
    import json
    from dataclasses import asdict

    from mfl_adapt.hub.overview import list_bases

    found = list_bases(_host(plugins))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2, default=str))
        return
    for one in found:
        typer.echo(f"{one.id}  {one.size} x {one.size} px  {one.summary}")
        typer.echo(f"  files    {_where(one)}")
        licence = f"{one.licence.name}: {one.licence.terms}" if one.licence else "not stated"
        typer.echo(f"  licence  {licence}")


@app.command("fetch")
def fetch(
    id: IdArgument,
    revision: Annotated[
        str | None,
        typer.Option(help="Commit, tag or branch; the commit is recorded at the first fetch."),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You accept the licence of the weights.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network: check what is there.")
    ] = False,
    plugins: PluginsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the published weights of a base, or complete and check what is there.

    A download that breaks off goes on where it stopped. Files lie below ~/.cache/mfl_adapt, or
    below the folder that MFL_HOME names; HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured.
    """
    import json
    from dataclasses import asdict

    from mfl_adapt.hub.fetch import fetch_base
    from mfl_adapt.plugin import BaseSpec

    base = _host(plugins).component(BaseSpec, id)
    path, fetched = fetch_base(
        base, revision=revision, accept_licence=accept_licence, offline=offline
    )
    if as_json:
        typer.echo(json.dumps({"path": str(path), **asdict(fetched)}, indent=2))
        return
    terms = base.spec.licence.terms if base.spec.licence else "terms unknown"
    typer.echo(f"base      {base.name}")
    typer.echo(f"path      {path}")
    typer.echo(f"source    {fetched.repository} at {fetched.commit}")
    typer.echo(f"files     {len(fetched.files)}, each with the SHA-256 on record")
    typer.echo(f"licence   {fetched.licence}: {terms}")


@app.command("verify")
def verify(
    id: IdArgument,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="File or folder; the fetched one if not given."),
    ] = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load weights strictly and say what they are.

    Without PATH, fetched files are first compared with their record. A network of other sizes is
    named by its settings, for instance --set base.config=FILE.
    """
    import json

    flags = {"base.id": id, "base.checkpoint": None if path is None else str(path)}
    loaded, host = open_config(None, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.hub.verify import check_takes_path, describe_base, verify_files
    from mfl_adapt.pipeline import open_base
    from mfl_adapt.plugin import BaseSpec

    found = host.component(BaseSpec, id)
    if path is not None:
        check_takes_path(found, path)
    recorded = verify_files(found.name) if path is None and found.spec.published else None
    facts = {"base": found.name, **describe_base(open_base(loaded.config, host), found.spec)}
    if path is not None:
        facts["path"] = str(path)
    if recorded is not None:
        facts["source"] = f"{recorded.repository} at {recorded.commit}"
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def _host(plugins: list[str] | None) -> "PluginHost":
    """Load the plugins of the default configuration."""
    return open_config(None, plugins=plugins)[1]


def _where(one: "BaseStatus") -> str:
    """Say where the files of a base are."""
    if one.state == "shipped":
        return "ship with the package of the plugin"
    if one.state == "yours":
        return "where its settings say"
    hints = {
        "fetched": f"fetched, commit {one.commit}",
        "incomplete": f"incomplete; run `mfl-adapt base fetch {one.id}`",
        "absent": f"absent; run `mfl-adapt base fetch {one.id}`",
    }
    return f"{one.folder}: {hints[one.state]}"
