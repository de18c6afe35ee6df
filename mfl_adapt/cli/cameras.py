"""``mfl-adapt cameras``: look at cameras, normalize them, and map predictions back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfl_adapt.cli.options import (
    JsonOption,
    PluginsOption,
    ReaderOption,
    SetOption,
    new_app,
    open_config,
)

if TYPE_CHECKING:
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.types import Sample

app = new_app("Look at cameras, normalize them, and map predictions back.")

PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="Recording, dataset folder or sample.")
]
SampleOption = Annotated[
    str | None, typer.Option("--sample", metavar="ID", help="Which sample; else the first one.")
]


def _read_sample(
    path: Path,
    sample: str | None,
    *,
    reader: str | None,
    plugins: list[str] | None,
    overrides: list[str] | None = None,
) -> "tuple[Sample, PluginHost]":
    """Read one sample and run it through the stages without ``conform``; and the plugins."""
    flags = {"data.path": str(path), "data.reader": reader}
    loaded, host = open_config(None, overrides=overrides, plugins=plugins, flags=flags)

    from itertools import islice

    from mfl_adapt.chain import open_chain
    from mfl_adapt.config import validate_components
    from mfl_adapt.prepare import find_sample

    validate_components(loaded, host)
    chain = open_chain(loaded.config, host)
    return chain.run(find_sample(islice(chain.reader, len(chain)), sample)), host


@app.command("show")
def show(
    path: PathArgument,
    sample: SampleOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the cameras of a sample as numbers that can be checked against the rig."""
    import json

    found, _ = _read_sample(path, sample, reader=reader, plugins=plugins, overrides=overrides)

    from mfl_adapt.cameras.table import CONVENTION, describe_cameras, format_cameras

    rows = describe_cameras(found)
    if as_json:
        content = {
            "sample": found.id,
            "convention": CONVENTION,
            "cameras": [row._asdict() for row in rows],
            "history": [step.step for step in found.provenance],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    typer.echo(f"sample {found.id}; {' -> '.join(step.step for step in found.provenance)}")
    typer.echo("\n".join(format_cameras(rows)))


@app.command("normalize")
def normalize(
    path: PathArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")],
    use: Annotated[
        str, typer.Option("--use", metavar="NAME", help="Camera normalizer.")
    ] = "facelift_cameras.virtual_camera",
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
) -> None:
    """Write a dataset folder whose cameras and pictures were normalized together.

    Settings of the normalizer follow as --set data.cameras.KEY=VALUE.
    """
    flags = {"data.path": str(path), "data.reader": reader, "data.cameras.use": use}
    # Whoever names a normalizer need not name its plugin as well.
    active = [*(plugins or []), use.partition(".")[0]]
    loaded, host = open_config(None, overrides=overrides, plugins=active, flags=flags)

    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.prepare import build_executor, make_dataset

    with Bars() as bars:
        result = make_dataset(
            loaded,
            host,
            out,
            kind="normalize",
            executor=build_executor("local"),
            report=lambda done, total: bars.advance("normalize", done, total),
        )
    typer.echo("\n".join(result.lines()))


@app.command(
    "unmap", help="Map predictions in a prepared sample's frame back to raw pixels and units."
)
def unmap(
    path: PathArgument,
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="JSON with points, boxes, pixels or picture_boxes; or Gaussians as .ply.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write.")
    ] = None,
    sample: SampleOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
) -> None:
    """Map predictions in a prepared sample's frame back to raw pixels and raw world units.

    Raises:
        ConfigError: If Gaussians are given without a file to write.
    """
    from mfl_adapt.errors import ConfigError

    found, host = _read_sample(path, sample, reader=reader, plugins=plugins)

    from mfl_adapt.prepare import unmap_json, unmap_ply

    if predictions.suffix.lower() == ".ply":
        if out is None:
            raise ConfigError("cameras unmap: expected a file for the Gaussians. Add -o FILE.ply.")
        typer.echo(unmap_ply(found, predictions, out, host))
        return
    typer.echo(unmap_json(found, predictions, out))
