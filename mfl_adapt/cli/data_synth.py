"""``mfl-adapt data synth``: generated views as a dataset, with the cameras that made them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mfl_adapt.cli.options import (
    AdapterOption,
    BackgroundOption,
    DeviceOption,
    EveryOption,
    GuidanceOption,
    LargestOption,
    PluginsOption,
    ReaderOption,
    SeedOption,
    SetOption,
    ShareOption,
    StepsOption,
    ViewsBaseOption,
    open_config,
    read_adapters,
)

if TYPE_CHECKING:
    from mfl_adapt.config import LoadedConfig
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.predict.sources import Placing, Sources

HELP = "Generate views of pictures, and write them with the cameras that made them."


def synth(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Pictures, folders of them, videos; or a dataset."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Dataset folder to make.")
    ],
    views_base: ViewsBaseOption = None,
    adapters: AdapterOption = None,
    seed: SeedOption = 4,
    steps: StepsOption = 50,
    guidance: GuidanceOption = 3,
    white: Annotated[
        int, typer.Option(min=1, max=255, help="Least channel of generated background.")
    ] = 235,
    background: BackgroundOption = "auto",
    largest: LargestOption = False,
    framing: Annotated[
        Literal["mask", "none"], typer.Option(help="Place the subject by its mask, or not at all.")
    ] = "mask",
    share: ShareOption = None,
    view: Annotated[
        str, typer.Option(metavar="N|NAME", help="Of a dataset, the view to start from.")
    ] = "0",
    every: EveryOption = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of a video or dataset, take at most N.")
    ] = None,
    skip_bad: Annotated[
        int, typer.Option("--skip-bad", metavar="N", min=0, help="Leave out up to N bad pictures.")
    ] = 0,
    device: DeviceOption = "auto",
    reader: ReaderOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
) -> None:
    """Generate a dataset; the same command continues after an interruption."""
    chosen = read_adapters(adapters)
    dataset = _dataset_of(paths, named=reader is not None)
    flags = {
        "views_base.id": views_base,
        "data.path": None if dataset is None else str(dataset),
        "data.reader": reader,
        "data.limit": None if dataset is None else limit,
    }
    loaded, host = open_config(None, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.predict import options
    from mfl_adapt.predict.background import choose_background
    from mfl_adapt.predict.opening import open_views
    from mfl_adapt.predict.preparation import Preparation
    from mfl_adapt.predict.sources import PictureFiles, Placing
    from mfl_adapt.predict.synthetic import Recipe, make_synthetic

    preparation = Preparation(
        background=choose_background(background),
        framing=options.read_framing(framing, share, None, None),
        largest=largest,
    )
    base, attached = open_views(loaded, host, adapters=chosen, device=device)
    placing = Placing(base.contract, preparation)
    sources: Sources = (
        PictureFiles(paths, placing, every=every, limit=limit)
        if dataset is None
        else _samples(loaded, host, placing, view)
    )
    recipe = Recipe(seed=seed, steps=steps, guidance=guidance, white=white)
    with Bars() as bars:
        made = make_synthetic(
            base,
            sources,
            out,
            recipe=recipe,
            adapters=attached,
            report=bars.advance,
            skip_bad=skip_bad,
        )
    typer.echo("\n".join(made.lines()))


def _dataset_of(paths: list[Path], *, named: bool) -> Path | None:
    """Return the dataset that is meant; None for pictures.

    Raises:
        DataError: If a reader is named for several paths.
    """
    from mfl_adapt.errors import DataError
    from mfl_adapt.predict.sources import is_dataset

    if named and len(paths) > 1:
        raise DataError(
            f"data synth: expected one dataset for --reader, got {len(paths)} paths. Make a set "
            "of each, or leave --reader out."
        )
    return paths[0] if len(paths) == 1 and (named or is_dataset(paths[0])) else None


def _samples(
    loaded: "LoadedConfig", host: "PluginHost", placing: "Placing", view: str
) -> "Sources":
    from mfl_adapt.chain import describe_chain, open_chain
    from mfl_adapt.predict.sources import DatasetPictures

    described = describe_chain(loaded.config, host)
    chosen = int(view) if view.isdecimal() else view
    return DatasetPictures(open_chain(loaded.config, host), placing, described, view=chosen)
