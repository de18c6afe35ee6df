"""Strict reading of one part's weights: every tensor of the part, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.checkpoint import Checkpoint, load_into
from mfl_adapt.models.weight_files import find_kind, open_file, read_safetensors, read_torch

# Where diffusers and transformers keep the weights of a part, newest first.
DIFFUSERS_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
CLIP_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# Names that only other variants of the family have, and what they are.
_FOREIGN = {
    "attn_mv": "separate multi-view attention",
    "norm_mv": "separate multi-view attention",
    "attn_joint": "joint attention of colour and normals",
    "norm_joint": "joint attention of colour and normals",
    "conv_block": "a pooled side branch",
    "addition_": "a pooled side branch",
    "camera": "camera embeddings",
}
# Before 2023 the VAE's attention had other names; hand-placed Stable Diffusion files still do.
_RENAMED = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


def find_weights(folder: Path, names: Sequence[str]) -> Path:
    """Return the first of some files that is there.

    Raises:
        CheckpointError: If none is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise CheckpointError(
        f"{folder / names[0]}: expected the weights of {folder.name}, found nothing there. "
        f"In the folder are: {', '.join(there) or 'no files'}."
    )


def read_weights(path: Path, dtype: torch.dtype) -> Checkpoint:
    """Read the tensors of one file, told apart by content.

    Args:
        path: ``.safetensors`` or torch archive.
        dtype: What they are converted to.

    Raises:
        CheckpointError: If the file is missing, damaged or of another kind, or holds anything
            but finite floating-point tensors.
    """
    with open_file(path) as file:
        kind = find_kind(path, file.read(16))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    content = read_safetensors(path) if kind == "safetensors" else read_torch(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected names with tensors, got {type(content).__name__}.")
    tensors = {
        _current_name(name): _convert(path, name, value, dtype)
        for name, value in content.items()
        # Positions 0, 1, 2 ... that older versions of transformers wrote beside the weights.
        if not str(name).endswith("position_ids")
    }
    return Checkpoint(path, tensors, {}, digest)


def load_part(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a part its weights, all of them and nothing else.

    Args:
        module: May have been built on the meta device.
        checkpoint: Its weights; a ``text_model.`` before all names is taken off if need be.

    Raises:
        CheckpointError: If a name is missing or unexpected or a shape differs, and by name if
            the weights are those of another variant.
    """
    wanted = module.state_dict()
    tensors = dict(checkpoint.tensors)
    if not any(name.startswith("text_model.") for name in wanted):
        # transformers 5 dropped the prefix that every published text encoder has.
        tensors = {name.removeprefix("text_model."): value for name, value in tensors.items()}
    for name in sorted(tensors.keys() - wanted.keys()):
        for mark, what in _FOREIGN.items():
            if mark in name:
                raise CheckpointError(
                    f"{checkpoint.path}: expected FaceLift's variant of the model, got {name}, "
                    f"which belongs to {what}. That variant is not supported."
                )
    load_into(module, Checkpoint(checkpoint.path, tensors, {}, checkpoint.sha256))
    _fill_positions(module)


def _fill_positions(module: nn.Module) -> None:
    """Give the buffers that no file holds their values 0, 1, 2 ... on the CPU."""
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta and name.endswith("position_ids"):
            owner = module.get_submodule(name.rpartition(".")[0])
            positions = torch.arange(buffer.shape[-1]).expand(tuple(buffer.shape))
            owner.register_buffer("position_ids", positions, persistent=False)


def _current_name(name: str) -> str:
    """Translate names of old attention layers."""
    if ".attentions." in name:
        for old, new in _RENAMED.items():
            name = name.replace(old, new)
    return name


def _convert(path: Path, name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a dense copy that owns its memory.

    Raises:
        CheckpointError: If the entry is no finite floating-point tensor, or leaves the range of
            the type.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise CheckpointError(f"{path}: expected floating-point tensors, got {name} with {got}.")
    if broken := int((~torch.isfinite(value)).sum()):
        raise CheckpointError(
            f"{path}: expected finite weights, got {broken} of {value.numel()} NaN or infinite "
            f"in {name}. The file is damaged or its training diverged."
        )
    result = value.detach().to(dtype, copy=True, memory_format=torch.contiguous_format)
    if not torch.isfinite(result).all():
        raise CheckpointError(
            f"{path}: expected weights that {dtype} can hold, got a value of "
            f"{float(value.abs().max()):g} in {name}. Use bfloat16 or float32."
        )
    return result
