"""``mfl-adapt plan``: choose views, resolution and the like to fit into memory."""

from typing import Annotated, Literal

import typer

from mfl_adapt.cli.options import JsonOption, PluginsOption, SetOption, new_app, open_config

app = new_app()


@app.command(help="Choose views, resolution and checkpointing that fit into memory.")
def plan(
    memory: Annotated[
        str, typer.Option("--memory", metavar="SIZE", help="What there is: 12GB, 12GiB, 800MB.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG", help="Preset, or path of a .yaml file; gslrm if left out."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="NAME", help="Base to plan for, else the configuration's."),
    ] = None,
    device: Annotated[
        Literal["cuda", "cpu"], typer.Option("--device", help="Where it will be trained.")
    ] = "cuda",
    cameras: Annotated[
        int, typer.Option("--cameras", min=1, metavar="N", help="Cameras of a sample.")
    ] = 8,
    plugins: PluginsOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print estimates for many settings and recommend one; needs no weights and no data.

    Nothing is allocated at full size: tensors without content are counted.
    """
    import json

    from mfl_adapt.train.memory import parse_size

    size = parse_size(memory, "--memory")
    loaded, host = open_config(
        source or "gslrm", overrides=overrides, plugins=plugins, flags={"base.id": base}
    )

    from mfl_adapt.train.planning.plan import make_plan

    found = make_plan(loaded, host, memory=size, device=device, cameras=cameras)
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else found.to_text())
