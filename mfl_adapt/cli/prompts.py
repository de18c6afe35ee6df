"""``mfl-adapt prompts``: make and check prompt embeddings, which tell views apart."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mfl_adapt.cli.options import JsonOption, new_app

app = new_app("Make and check prompt embeddings, which tell views apart.")

BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="NAME|FOLDER",
        help="Multi-view diffusion model, e.g. facelift.tiny_views; default facelift.mvdiffusion.",
    ),
]


def find_folder(base: str | None) -> Path:
    """Return the folder of a base by its name, or the folder that was named."""
    from mfl_adapt.models.fetched import locate
    from mfl_adapt.models.mvdiffusion import shipped

    if base == shipped.ID:
        return shipped.shipped_folder()
    published = "facelift.mvdiffusion"
    return locate(published)[0] if base in {None, published} else Path(str(base))


@app.command("make")
def make(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="New .safetensors, or .pt as FaceLift's."),
    ],
    species: Annotated[
        str | None, typer.Option(help="Put into the prompt; without it, FaceLift's own words.")
    ] = None,
    views: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="In slot order, the input view first; default FaceLift's."
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Other words, with {view} and perhaps {species}.")
    ] = None,
    base: BaseOption = None,
    dtype: Annotated[
        Literal["float16", "float32"], typer.Option(help="Of the file; float16 as published.")
    ] = "float16",
) -> None:
    """Encode one prompt per view with the base's own tokenizer and text tower."""
    import torch

    from mfl_adapt.models.mvdiffusion import prompt_sets
    from mfl_adapt.models.mvdiffusion.config import VIEW_NAMES
    from mfl_adapt.models.mvdiffusion.folder import load_text_tower

    prompt_sets.check_new_file(out)
    names = VIEW_NAMES if views is None else tuple(one.strip() for one in views.split(","))
    prompts = prompt_sets.write_prompts(names, species=species, template=template)
    tower = load_text_tower(find_folder(base))
    made = prompt_sets.make_prompt_set(tower, names, prompts)
    prompt_sets.save_prompt_set(made, out, dtype=getattr(torch, dtype))
    for name, prompt in zip(names, prompts, strict=True):
        typer.echo(f"{name:<12}  {prompt}")
    typer.echo(f"wrote {out}: {list(made.embeds.shape)} {dtype}")


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .safetensors or .pt file.")],
    base: BaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse prompt embeddings that do not fit the base or do not tell views apart.

    Without --base they must fit the published model, whose text is 1024 wide.
    """
    import json
    from dataclasses import asdict

    from mfl_adapt.models.mvdiffusion import prompt_sets
    from mfl_adapt.models.mvdiffusion.folder import read_text_width

    width = read_text_width(find_folder(base)) if base else prompt_sets.PUBLISHED_WIDTH
    made = prompt_sets.load_prompt_set(file, width)
    found = prompt_sets.judge_prompt_set(made, width, where=str(file))
    if as_json:
        facts = {**asdict(found), "views": made.views, "prompts": made.prompts}
        typer.echo(json.dumps({**facts, "tower": made.tower}, indent=2))
        return
    first, second = found.alike
    typer.echo(f"shape      {list(found.shape)} {str(made.embeds.dtype).removeprefix('torch.')}")
    typer.echo(f"views      {', '.join(made.views) or 'the file does not say'}")
    typer.echo(f"least std  {found.least_std:.4f}")
    typer.echo(
        f"cosine     at most {found.greatest_cosine:.5f}, rows {first} and {second} "
        f"(limit {prompt_sets.MAX_COSINE})"
    )
