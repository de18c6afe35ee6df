"""``mfl-adapt predict``: one picture, or many, to six views, Gaussians and films."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mfl_adapt.cli.options import (
    AdapterOption,
    BackgroundOption,
    DeviceOption,
    EveryOption,
    GuidanceOption,
    LargestOption,
    PluginsOption,
    SeedOption,
    SetOption,
    ShareOption,
    StepsOption,
    ViewsBaseOption,
    new_app,
    open_config,
    read_adapters,
)

app = new_app()

OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Gets one folder for each result.")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="NAME", help="Makes the Gaussians; default facelift.tiny."),
]
ConfigOption = Annotated[
    str | None,
    typer.Option("--config", metavar="CONFIG", help="Preset or .yaml file that names bases."),
]
FilterOption = Annotated[
    Literal["auto", "script", "demo", "export", "opacity", "none"],
    typer.Option(
        "--filter", help="Which Gaussians are kept; script, demo and export are FaceLift's."
    ),
]
FormatOption = Annotated[
    str,
    typer.Option("--format", metavar="A,B", help="Of the Gaussians: ply, compressed_ply, splat."),
]
NoVideoOption = Annotated[bool, typer.Option("--no-video", help="Write no turntable.mp4.")]
NoViewerOption = Annotated[bool, typer.Option("--no-viewer", help="Write no viewer.html.")]


def default_base(
    section: str, name: str, config: str | None, overrides: list[str] | None
) -> str | None:
    """Name the base whose settings ``--set`` gives without naming it; else None."""
    given = [one.partition("=")[0] for one in overrides or () if one.startswith(f"{section}.")]
    return name if given and f"{section}.id" not in given and config is None else None


@app.command(help="Turn pictures into six views, Gaussians and films.")
def predict(
    paths: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, folders of them, videos.")
    ],
    out: OutOption,
    adapters: AdapterOption = None,
    views_base: ViewsBaseOption = None,
    base: BaseOption = None,
    background: BackgroundOption = "auto",
    largest: LargestOption = False,
    framing: Annotated[
        Literal["mask", "face", "none"] | None,
        typer.Option(help="Place the subject by its mask (default) or face, or not at all."),
    ] = None,
    share: ShareOption = None,
    face_box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="The face in pixels; sets --framing face.")
    ] = None,
    face_detector: Annotated[
        str | None,
        typer.Option(metavar="FUNCTION", help="package.module:function that finds the face."),
    ] = None,
    views: Annotated[
        str, typer.Option(metavar="all|0,2,..", help="Slots that the Gaussians are made of.")
    ] = "all",
    seed: SeedOption = 4,
    steps: StepsOption = 50,
    guidance: GuidanceOption = 3,
    views_at_once: Annotated[
        int | None, typer.Option(metavar="N", help="Fewer views at once need less memory.")
    ] = None,
    filter: FilterOption = "auto",
    formats: FormatOption = "ply",
    no_video: NoVideoOption = False,
    no_viewer: NoViewerOption = False,
    every: EveryOption = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of a video, take at most N frames.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, help="Play a folder's pictures at this rate.")
    ] = None,
    device: DeviceOption = "auto",
    config: ConfigOption = None,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
) -> None:
    """Predict; without weights at hand, with the two small models that ship with the package.

    Raises:
        typer.Exit: With 1 if one of several pictures could not be used.
    """
    chosen = read_adapters(adapters)
    flags = {
        "base.id": base or default_base("base", "facelift.tiny", config, overrides),
        "views_base.id": views_base
        or default_base("views_base", "facelift.tiny_views", config, overrides),
    }
    loaded, host = open_config(config, overrides=overrides, plugins=plugins, flags=flags)

    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.predict import options
    from mfl_adapt.predict.background import choose_background
    from mfl_adapt.predict.folder import Outputs
    from mfl_adapt.predict.inputs import find_inputs
    from mfl_adapt.predict.opening import open_predictor
    from mfl_adapt.predict.predictor import PredictSettings
    from mfl_adapt.predict.preparation import Preparation
    from mfl_adapt.predict.run import Batch

    preparation = Preparation(
        background=choose_background(background),
        framing=options.read_framing(framing, share, face_box, face_detector),
        largest=largest,
    )
    settings = PredictSettings(
        steps=steps,
        guidance=guidance,
        seed=seed,
        views=options.read_slots(views),
        filter=filter,
        views_at_once=views_at_once,
    )
    outputs = Outputs(options.read_names(formats), video=not no_video, viewer=not no_viewer)
    inputs = find_inputs(paths, every=every, limit=limit, fps=fps)
    predictor = open_predictor(loaded, host, settings=settings, adapters=chosen, device=device)
    batch = Batch(predictor, host, out, preparation=preparation, outputs=outputs)
    with Bars() as bars:
        outcome = batch.run(inputs, report=bars.advance)
    typer.echo("\n".join(outcome.lines()))
    if outcome.failed:
        raise typer.Exit(1)
