"""``mfl-adapt doctor``: look for what would make a run fail, before it starts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

if TYPE_CHECKING:
    from mfl_adapt.doctor.visit import Visit

app = new_app()


@app.command(help="Look for what would make a run fail, before it starts.")
def doctor(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SUBJECT]",
            help="Preset or .yaml file; dataset, sample or list; adapter; run folder; or machine.",
        ),
    ] = "quickstart",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Dataset folder or list, for a configuration."),
    ] = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Examine every sample, not some spread evenly.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended safely; keeps copies.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--fix-dry-run", help="Say what --fix would change, and change nothing.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", help="Explain a code, or all of them, and stop."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Examine what was named, print what was found, and end with 1 if a law is broken.

    Raises:
        typer.Exit: With 1 if a law is broken.
    """
    if explain is not None:
        from mfl_adapt.cli.doctor_page import explain_code

        typer.echo(explain_code(explain, plugins))
        return

    from mfl_adapt.doctor.subjects import tell_kind

    kind = tell_kind(source)
    if fix or dry_run:
        _mend(Path(source) if kind == "data" else data, plugins, dry_run=dry_run, quiet=as_json)
    if kind == "data":
        visit = _visit_config("quickstart", Path(source), plugins, overrides, every, source)
    elif kind == "config":
        visit = _visit_config(source, data, plugins, overrides, every, source)
    else:
        visit = _visit_folder(kind, Path(source), plugins, overrides)
    _print(visit, as_json=as_json)
    if visit.report.laws:
        raise typer.Exit(1)


def _visit_config(
    source: str,
    data: Path | None,
    plugins: list[str] | None,
    overrides: list[str] | None,
    every: bool,
    subject: str,
) -> "Visit":
    """Load a configuration and examine it; one that cannot be loaded is a finding too."""
    from mfl_adapt.doctor.visit import visit_config, visit_unusable
    from mfl_adapt.errors import ConfigError, PluginError

    flags = {"data.path": None if data is None else str(data)}
    named = subject if data is None or subject == str(data) else f"{subject} on {data}"
    try:
        loaded, host = open_config(source, overrides=overrides, plugins=plugins, flags=flags)
    except (ConfigError, PluginError) as error:
        return visit_unusable(named, error)
    return visit_config(loaded, host, every_sample=every, subject=named)


def _visit_folder(
    kind: str, folder: Path, plugins: list[str] | None, overrides: list[str] | None
) -> "Visit":
    """Examine what needs no configuration but its own."""
    from mfl_adapt.doctor import folders

    loaded, host = open_config(None, plugins=plugins, overrides=overrides)
    if kind == "machine":
        return folders.visit_machine(host, loaded.config.output)
    return (folders.visit_run if kind == "run" else folders.visit_adapter)(folder, host)


def _mend(path: Path | None, plugins: list[str] | None, *, dry_run: bool, quiet: bool) -> None:
    """Apply or list the fixes that checks offer for a dataset's files.

    Raises:
        ConfigError: If no dataset was named.
    """
    from mfl_adapt.doctor import build_checks
    from mfl_adapt.doctor.fixing import apply, find_fixes
    from mfl_adapt.errors import ConfigError
    from mfl_adapt.plugin import Facts

    if path is None or not path.exists():
        raise ConfigError(
            f"doctor --fix: expected an existing dataset folder or list, got {path or 'none'}. "
            "Only files of datasets can be mended."
        )
    found = find_fixes(build_checks(open_config(None, plugins=plugins)[1]), Facts(source=path))
    for code, one in found:
        kept = "" if dry_run else f"; the old one is {apply(one).name}"
        verb = "would change" if dry_run else "changed"
        typer.echo(f"fix     {code:<7} {verb} {one.file}: {one.what}{kept}", err=quiet)
    if not found:
        typer.echo("fix     nothing that can be mended safely", err=quiet)


def _print(visit: "Visit", *, as_json: bool) -> None:
    """Print what was found, for people or for scripts."""
    import json

    from mfl_adapt.doctor import page_of, to_json, to_lines
    from mfl_adapt.train.guards.table import GUARDS

    if as_json:
        facts = {"subject": visit.subject, "kind": visit.kind, "facts": dict(visit.facts)}
        typer.echo(json.dumps({**to_json(visit.report), **facts}, indent=2))
        return
    typer.echo(f"{visit.kind:<15} {visit.subject}")
    for name, text in visit.facts.items():
        typer.echo(f"{name:<15} {text}")
    *findings, totals = to_lines(visit.report, {one.code: one.name for one in GUARDS})
    typer.echo("\n".join(["", *findings, ""] if findings else [""]))
    typer.echo(totals)
    worst = visit.report.groups()[:1]
    if worst and worst[0].severity != "info":
        code = worst[0].worst.code
        typer.echo(
            f"Begin with {code}; mfl-adapt doctor --explain {code} or {page_of(code)} says why."
        )
    elif findings:
        typer.echo("Nothing is wrong. Information tells what is unlike the base's own data.")
