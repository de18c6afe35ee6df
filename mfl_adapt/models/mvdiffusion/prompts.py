"""Prompt embeddings: the only thing that tells the denoiser which view it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from mfl_adapt.errors import CheckpointError, ConfigError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.config import VIEW_NAMES
from mfl_adapt.models.weight_files import find_kind, open_file, read_safetensors, read_torch

TOKENS = 77
"""Length that every prompt is padded or cut to."""


def view_prompts(views: Sequence[str] = VIEW_NAMES) -> list[str]:
    """Return the published prompt of each view."""
    return [f"a rendering image of 3D models, {view} view, color map." for view in views]


def tokenize(prompts: Sequence[str], tokenizer: CLIPTokenizer) -> Tensor:
    """Return token ids [V, 77], padded and cut.

    Raises:
        ConfigError: If there is no prompt.
    """
    if not prompts:
        raise ConfigError("prompts: expected at least one, got none. Name the views.")
    return tokenizer(
        list(prompts),
        padding="max_length",
        max_length=TOKENS,
        truncation=True,
        return_tensors="pt",
    ).input_ids


@torch.no_grad()
def encode_prompts(
    prompts: Sequence[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModel
) -> Tensor:
    """Return the text tower's last hidden state, [V, 77, D]; padding is not masked."""
    ids = tokenize(prompts, tokenizer)
    return encoder(ids.to(encoder.device)).last_hidden_state


def check_prompt_embeds(embeds: Tensor, width: int, *, where: str = "prompt_embeds") -> None:
    """Raise unless embeddings fit the denoiser.

    Args:
        embeds: [rows, tokens, D].
        width: D of the denoiser.
        where: Name for messages.

    Raises:
        ShapeError: If axes or width differ; says so if another text tower made them.
        RangeError: If a number is not finite.
    """
    shape = list(embeds.shape)
    if len(shape) != 3 or not embeds.is_floating_point() or 0 in shape:
        raise ShapeError(
            f"{where}: expected [views, tokens, {width}] floating-point, got {shape} of "
            f"{embeds.dtype}. Give one row per view.",
            code="MFL044",
        )
    if shape[2] != width:
        raise ShapeError(
            f"{where}: expected width {width}, got {shape}. Another text encoder made them; "
            "make them again with the text tower of this model.",
            code="MFL045",
        )
    if broken := int((~torch.isfinite(embeds)).sum()):
        raise RangeError(
            f"{where}: expected finite numbers, got {broken} that are not. Make them again.",
            code="MFL044",
        )


def read_prompt_embeds(path: Path, width: int) -> Tensor:
    """Read a file with one tensor [V, 77, D], as published in ``clr_embeds.pt``.

    Args:
        path: Torch archive or safetensors, told apart by content.
        width: D of the denoiser.

    Raises:
        CheckpointError: If the file is missing, damaged or holds anything but one tensor.
        ShapeError: If the tensor does not fit the denoiser.
        RangeError: If a number is not finite.
    """
    embeds = _read_tensor(path, width).detach().clone()
    check_prompt_embeds(embeds, width, where=str(path))
    if embeds.shape[1] != TOKENS:
        raise ShapeError(
            f"{path}: expected {TOKENS} tokens, got {list(embeds.shape)}. Make them again.",
            code="MFL044",
        )
    return embeds


def _read_tensor(path: Path, width: int) -> Tensor:
    """Return the only tensor of a file.

    Raises:
        CheckpointError: If the file is missing, damaged or holds anything else.
    """
    with open_file(path) as file:
        kind = find_kind(path, file.read(16))
    content = read_torch(path) if kind == "torch" else read_safetensors(path)
    if isinstance(content, Tensor):
        return content
    if kind == "safetensors" and len(content) == 1:
        return next(iter(content.values()))
    got = f"{len(content)} tensors" if kind == "safetensors" else type(content).__name__
    raise CheckpointError(
        f"{path}: expected one tensor [views, {TOKENS}, {width}], got {got}. "
        "Name the file with the prompt embeddings."
    )
