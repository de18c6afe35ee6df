"""``mfl-adapt reconstruct``: calibrated views to Gaussians and films."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import (
    AdapterOption,
    DeviceOption,
    PluginsOption,
    ReaderOption,
    SetOption,
    new_app,
    open_config,
    read_adapters,
)
from mfl_adapt.cli.predict import (
    BaseOption,
    ConfigOption,
    FilterOption,
    FormatOption,
    NoVideoOption,
    NoViewerOption,
    OutOption,
    default_base,
)

app = new_app()


@app.command(help="Turn calibrated views into Gaussians and films.")
def reconstruct(
    path: Annotated[
        Path, typer.Argument(metavar="SAMPLE", help="Sample, dataset folder or recording.")
    ],
    out: OutOption,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="ID", help="Which sample; else the first one.")
    ] = None,
    views: Annotated[
        str,
        typer.Option(
            metavar="all|A,B,..", help="Input views by name or index; default as many as suit."
        ),
    ] = "",
    adapters: AdapterOption = None,
    base: BaseOption = None,
    filter: FilterOption = "auto",
    formats: FormatOption = "ply",
    no_video: NoVideoOption = False,
    no_viewer: NoViewerOption = False,
    device: DeviceOption = "auto",
    config: ConfigOption = None,
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
) -> None:
    """Reconstruct one sample; reader, preprocessing and cameras follow from --config or --set."""
    chosen = read_adapters(adapters)
    flags = {
        "data.path": str(path),
        "data.reader": reader,
        "base.id": base or default_base("base", "facelift.tiny", config, overrides),
    }
    loaded, host = open_config(config, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.predict import options
    from mfl_adapt.predict.folder import Outputs
    from mfl_adapt.predict.reconstruct import reconstruct_sample

    folder = reconstruct_sample(
        loaded,
        host,
        out,
        sample=sample,
        views=options.read_views(views),
        adapters=chosen,
        filter=filter,
        outputs=Outputs(options.read_names(formats), video=not no_video, viewer=not no_viewer),
        device=device,
    )
    typer.echo("\n".join(options.describe_folder(folder)))
