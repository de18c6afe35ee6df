"""``mfl-adapt data``: look at recordings, write dataset folders, measure and split them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mfl_adapt.cli import data_synth
from mfl_adapt.cli.options import (
    JsonOption,
    PluginsOption,
    ReaderOption,
    SetOption,
    new_app,
    open_config,
)

if TYPE_CHECKING:
    from mfl_adapt.config import LoadedConfig
    from mfl_adapt.plugin.registry import PluginHost

app = new_app("Look at recordings, write dataset folders, measure and split them.")

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH|CONFIG", help="Recording or dataset; or a preset or .yaml file that names it."
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="Recording or dataset, where CONFIG is a preset."),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, help="Worker processes; one per core if not given, 0 uses none."),
]
ExecutorOption = Annotated[
    Literal["local", "dask"], typer.Option(help="Processes of this machine, or a Dask cluster.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler, tcp://HOST:8786.")
]
SkipBadOption = Annotated[
    int, typer.Option("--skip-bad", metavar="N", min=0, help="Leave out up to N bad samples.")
]


def _open(
    source: str,
    data: str | None,
    overrides: list[str] | None,
    plugins: list[str] | None,
    reader: str | None,
) -> "tuple[LoadedConfig, PluginHost]":
    """Load a configuration, or the defaults for a path."""
    from mfl_adapt.config import list_presets

    if data is not None:
        flags = {"data.path": data, "data.reader": reader}
        return open_config(source, overrides=overrides, plugins=plugins, flags=flags)

    presets = {preset.name for preset in list_presets()}
    is_config = source.endswith((".yaml", ".yml")) or source in presets
    is_data = not is_config or (source in presets and Path(source).exists())
    flags = {"data.path": source if is_data else None, "data.reader": reader}
    name = None if is_data else source
    return open_config(name, overrides=overrides, plugins=plugins, flags=flags)


@app.command("inspect")
def inspect(
    source: SourceArgument,
    data: DataOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recording or dataset holds: reader, samples, cameras, masks."""
    import json

    loaded, host = _open(source, data, overrides, plugins, reader)

    from mfl_adapt.chain import choose_reader, open_chain
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.config import validate_components
    from mfl_adapt.prepare import inspect_chain

    validate_components(loaded, host)
    chain, name = open_chain(loaded.config, host), choose_reader(loaded.config, host).use
    with Bars() as bars:
        found = inspect_chain(chain, name, lambda done, total: bars.advance("read", done, total))
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(found.lines()))


@app.command("convert")
def convert(
    source: SourceArgument,
    out: OutOption,
    data: DataOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    skip_bad: SkipBadOption = 0,
) -> None:
    """Write a recording as a dataset folder, with every picture and camera as it is."""
    loaded, host = _open(source, data, overrides, plugins, reader)
    _make("convert", loaded, host, out, (executor, workers, scheduler), skip_bad)


@app.command("prepare")
def prepare(
    source: SourceArgument,
    out: OutOption,
    data: DataOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    skip_bad: SkipBadOption = 0,
    certify: Annotated[
        int, typer.Option(metavar="N", min=0, help="Certify the geometry of N samples.")
    ] = 6,
) -> None:
    """Write a dataset folder that a base can train on: masks, cameras, size and split.

    The same command continues after an interruption, and does nothing where all is done. Exits
    with 1, after everything is written, if a certified sample breaks a law of the rig contract.
    """
    loaded, host = _open(source, data, overrides, plugins, reader)
    _make("prepare", loaded, host, out, (executor, workers, scheduler), skip_bad, certify)


def _make(
    kind: Literal["convert", "prepare"],
    loaded: "LoadedConfig",
    host: "PluginHost",
    out: Path,
    workers: tuple[Any, int | None, str | None],
    skip_bad: int,
    certify: int = 0,
) -> None:
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.prepare import build_executor, make_dataset, raise_for_laws

    chosen = build_executor(workers[0], workers=workers[1], scheduler=workers[2])
    with Bars() as bars:
        result = make_dataset(
            loaded,
            host,
            out,
            kind=kind,
            executor=chosen,
            report=lambda done, total: bars.advance(kind, done, total),
            skip_bad=skip_bad,
            certify=certify,
        )
    for line in result.lines():
        typer.echo(line)
    if kind == "prepare":
        raise_for_laws(result.folder)


@app.command("grade")
def grade(
    source: SourceArgument,
    data: DataOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    certify: Annotated[
        int, typer.Option(metavar="N", min=1, help="Certify the geometry of N samples.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Give the classic grade A to D, beside the geometric certificate, which is what matters."""
    import json

    from mfl_adapt.prepare import grade_chain, grade_file, is_metrics

    if data is None and is_metrics(Path(source)):
        found = grade_file(Path(source))
    else:
        loaded, host = _open(source, data, overrides, plugins, reader)

        from mfl_adapt.chain import open_chain
        from mfl_adapt.cli.progress import Bars
        from mfl_adapt.config import validate_components
        from mfl_adapt.pipeline import data_contract

        validate_components(loaded, host)
        contract, chain = data_contract(loaded.config, host), open_chain(loaded.config, host)
        with Bars() as bars:
            found = grade_chain(
                chain, contract, certify, lambda done, total: bars.advance("grade", done, total)
            )
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(found.lines()))


@app.command(
    "certify",
    help="Measure how exactly pictures and cameras agree; write numbers and a picture per sample.",
)
def certify(
    source: SourceArgument,
    out: OutOption,
    data: DataOption = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Only N samples, evenly spread; else all."),
    ] = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how exactly pictures and cameras agree; write numbers and a picture per sample.

    Raises:
        typer.Exit: With 1 if a sample breaks a law of the rig contract.
    """
    import json

    loaded, host = _open(source, data, overrides, plugins, reader)

    from mfl_adapt.chain import open_chain
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.config import validate_components
    from mfl_adapt.data.certificate_table import summary_lines, summary_to_json
    from mfl_adapt.data.spread import spread
    from mfl_adapt.pipeline import data_contract
    from mfl_adapt.report.certify import certify_chain

    validate_components(loaded, host)
    contract, chain = data_contract(loaded.config, host), open_chain(loaded.config, host)
    places = spread(range(len(chain)), samples or len(chain))
    with Bars() as bars:
        found = certify_chain(
            chain,
            places,
            contract,
            out,
            lambda done, total: bars.advance("certify", done, total),
        )
    if as_json:
        typer.echo(json.dumps(summary_to_json(found), indent=2))
    else:
        lines = [*summary_lines(found), f"certificates  {out}"]
        if found.failures:
            lines.append("remedies      mfl-adapt doctor says what to do about each")
        typer.echo("\n".join(lines))
    if found.verdicts["law"]:
        raise typer.Exit(1)


@app.command("split")
def split(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Dataset folder.")],
    by: Annotated[
        Literal["order", "time", "session", "animal"],
        typer.Option(help="What must not be cut or mixed."),
    ] = "time",
    validation: Annotated[float, typer.Option(help="Share of samples for validation.")] = 0.1,
    gap: Annotated[float, typer.Option(help="Share left out between the two sides.")] = 0.05,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Divide a dataset folder into training and validation, and rewrite its lists."""
    import json

    flags = {"data.path": str(folder), "data.reader": reader}
    loaded, host = open_config(None, plugins=plugins, flags=flags)

    from mfl_adapt.chain import open_reader
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.prepare import split_dataset

    with Bars() as bars:
        result = split_dataset(
            folder,
            open_reader(loaded.config, host),
            by=by,
            validation=validation,
            gap=gap,
            report=lambda done, total: bars.advance("compare", done, total),
        )
    typer.echo(json.dumps(result.to_json(), indent=2) if as_json else "\n".join(result.lines()))


app.command("synth", help=data_synth.HELP)(data_synth.synth)
