"""``mfl-adapt render``: draw a file of Gaussians."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mfl_adapt.cli.options import PluginsOption, new_app, open_config

app = new_app()

TURNTABLE_FRAMES = 72
TURNTABLE_SIZE = 512


@app.command(help="Draw a file of Gaussians.")
def render(
    file: Annotated[Path, typer.Argument(metavar="FILE.ply", help="Gaussians.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A .png, a .mp4 or a folder.")
    ],
    cameras: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Cameras to draw through: opencv_cameras.json."),
    ] = None,
    turntable: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"A full turn of N cameras; default 1 for a .png, else {TURNTABLE_FRAMES}.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=1, max=8192, help=f"Width in pixels; default the cameras' or {TURNTABLE_SIZE}."
        ),
    ] = None,
    elevation: Annotated[float, typer.Option(help="Of the turntable's cameras, in degrees.")] = 0.0,
    background: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Grey behind: 0 is black, 1 white.")
    ] = 1.0,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames per second of a .mp4.")] = 24.0,
    backend: Annotated[
        Literal["auto", "gsplat", "cpu", "torch"], typer.Option(help="Rasterizer.")
    ] = "auto",
    plugins: PluginsOption = None,
) -> None:
    """Draw Gaussians through given cameras, or on a turntable that starts at the front.

    Raises:
        BadParameter: If both kinds of cameras are asked for.
    """
    if cameras is not None and turntable is not None:
        raise typer.BadParameter("expected --cameras or --turntable, got both.")
    _, host = open_config(None, plugins=plugins)

    from mfl_adapt.cameras import facelift_ring
    from mfl_adapt.cameras.camera_file import load_cameras
    from mfl_adapt.cli.progress import Bars
    from mfl_adapt.render.ply import read_ply
    from mfl_adapt.report.drawing import check_one, choose_output, resize_cameras, save_frames
    from mfl_adapt.report.turntable import FRONT_DEG, check_elevation, draw_frames, to_device

    kind = choose_output(out, host)
    if cameras is None:
        check_elevation(elevation)
        count = turntable or (1 if kind == "picture" else TURNTABLE_FRAMES)
        path = facelift_ring(count, elevation, size=size or TURNTABLE_SIZE, phase_deg=FRONT_DEG)
    else:
        path = load_cameras(cameras)
        path = path if size is None else resize_cameras(path, size)
    if kind == "picture":
        check_one(len(path), out)
    gaussians = to_device(read_ply(file), backend)
    with Bars() as bars:
        frames = draw_frames(
            gaussians,
            path,
            background=background,
            backend=backend,
            report=lambda done, total: bars.advance("render", done, total),
        )
    names = [f"frame_{index:03d}" for index in range(len(frames))]
    save_frames(frames, out, host, names=names, fps=fps)
    height, width = frames.shape[1:3]
    typer.echo(f"wrote {out}: {len(frames)} of {width} x {height}")
