"""``mfl-adapt view``: look at Gaussians in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from mfl_adapt.cli.options import new_app

app = new_app()


@app.command(help="Look at Gaussians in the browser.")
def view(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="PLY file, or folder of a prediction.")
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")
    ] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Serve a page with viser until Ctrl-C."""
    from mfl_adapt.report.live import LiveView, find_sets

    with LiveView(find_sets(path), host=host, port=port) as live:
        typer.echo(f"http://{host}:{live.port}  (Ctrl-C to stop)")
        try:
            live.wait()
        except KeyboardInterrupt:
            typer.echo("")
