"""Prompt embeddings that a configuration names, judged before a model is built."""

from __future__ import annotations

from pathlib import Path

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.files import read_json


def judge_prompts(path: Path, folder: Path | None) -> MflAdaptError | None:
    """Return why prompt embeddings cannot be used: zeros, another width, rows that are alike.

    Args:
        path: File with the embeddings.
        folder: Of the model that they are for; the published one if None.
    """
    try:
        _judge(path, folder)
    except MflAdaptError as error:
        return error
    return None


def _judge(path: Path, folder: Path | None) -> None:
    """Raise unless the embeddings fit the model in a folder; the published one if None."""
    # Torch and transformers take seconds to import, and few configurations name prompts.
    from mfl_adapt.models.mvdiffusion.prompt_sets import PUBLISHED_WIDTH, load_prompt_set

    width = PUBLISHED_WIDTH
    if folder is not None:
        found = read_json(folder / "unet" / "config.json", holds="settings of a denoiser")
        width = int(found.get("cross_attention_dim", width))
    load_prompt_set(path, width)
