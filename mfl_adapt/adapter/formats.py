"""Adapters in the files of other programs: which there are, and what reading one yields.

Each form has a module of its own with ``encode`` and ``read``. What is read is put on the base it
is said to be for, and is refused unless every tensor finds its place there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftConfig
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.compose import check_only_layers, lora_config, lora_tensors, put_on
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.save import check_finite_weights
from mfl_adapt.adapter.updates import LowRank, is_plain_lora, low_rank_layers
from mfl_adapt.errors import AdapterError, StorageError
from mfl_adapt.plugin import Base

Form = Literal["peft", "diffusers", "kohya"]

UNET_PARTS = frozenset({
    "add_embedding",
    "class_embedding",
    "conv_in",
    "conv_out",
    "down_blocks",
    "mid_block",
    "time_embedding",
    "up_blocks",
})  # fmt: skip
"""Names of the parts of diffusers' UNet, by which its layers are told from any other network's."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """An adapter that was read from a foreign file.

    Attributes:
        config: peft's settings for it.
        tensors: Weights by the names in peft's files.
        path: The file of weights that was read.
        notes: What was changed in reading, for the passport.
    """

    config: PeftConfig
    tensors: dict[str, Tensor]
    path: Path
    notes: dict[str, Any] = field(default_factory=dict)


def is_unet(names: Mapping[str, Any]) -> bool:
    """Whether all layers belong to a UNet as diffusers builds it."""
    return all(name.partition(".")[0] in UNET_PARTS for name in names)


def adaptable(module: nn.Module) -> dict[str, nn.Module]:
    """Layers of a network that a low-rank adapter can change, by name."""
    kinds = (nn.Linear, nn.Conv2d)
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, kinds)}


def portable_layers(stored: StoredAdapter, form: str) -> dict[str, LowRank]:
    """Return the matrices of an adapter that another program can hold.

    Raises:
        AdapterError: If the adapter is no plain LoRA, or has a network of its own.
    """
    check_only_layers(stored, f"--to {form}")
    assert stored.config is not None, "it changes weights"
    if not is_plain_lora(stored.config):
        method = stored.passport["adapter"].get("method")
        what = "DoRA" if getattr(stored.config, "use_dora", False) else method
        raise AdapterError(
            f"{stored.folder}: expected a plain LoRA for --to {form}, which holds nothing else, "
            f"got {what}. Make a LoRA of it first: mfl-adapt adapter resize --energy 0.9999."
        )
    return low_rank_layers(stored.tensors, stored.config, str(stored.folder))


def import_adapter(base: Base, foreign: Foreign) -> AttachedAdapter:
    """Put an adapter from a foreign file on the base it is said to be for.

    Half-precision files keep their format; weights are computed in float32.

    Raises:
        AdapterError: If a weight is not finite, or the tensors are not exactly those that the
            settings call for on this base.
    """
    check_finite_weights(foreign.tensors, str(foreign.path), "Nothing was written.")
    dtypes = {tensor.dtype for tensor in foreign.tensors.values()}
    half = torch.float16 if dtypes == {torch.float16} else None
    return put_on(base, foreign.config, foreign.tensors, where=str(foreign.path), save_dtype=half)


def describe_origin(foreign: Foreign, form: str) -> dict[str, Any]:
    """Return what the passport says about where an adapter came from."""
    digest = hashlib.sha256(foreign.path.read_bytes()).hexdigest()
    return {"from": form, "file": foreign.path.name, "sha256": digest} | foreign.notes


def from_layers(layers: Mapping[str, LowRank], path: Path) -> Foreign:
    """Return matrices by layer as an adapter of peft."""
    return Foreign(lora_config(layers), lora_tensors(layers), path)


def fit_to(layer: nn.Module, low_rank: LowRank, where: str) -> LowRank:
    """Bring matrices into the form that peft gives them on a layer.

    Some programs store a linear layer as a convolution of one pixel, or the other way round.

    Raises:
        AdapterError: If the sizes do not fit the layer.
    """
    weight = layer.weight
    assert isinstance(weight, Tensor), "adaptable() returns layers with a weight"
    down, up, rank = low_rank.down, low_rank.up, low_rank.rank
    if down.numel() != rank * weight[0].numel() or up.numel() != weight.shape[0] * rank:
        raise AdapterError(
            f"{where}: expected matrices for a weight {list(weight.shape)}, got "
            f"{list(down.shape)} and {list(up.shape)}. It was made for another network."
        )
    ones = [1] * (weight.dim() - 2)
    return LowRank(
        down.reshape(rank, *weight.shape[1:]),
        up.reshape(weight.shape[0], rank, *ones),
        low_rank.alpha,
    )


def rank_of(down: Tensor, where: str) -> int:
    """Return the rank of a layer by its first matrix.

    Raises:
        AdapterError: If it is no matrix, or an empty one.
    """
    if down.dim() not in {2, 4} or down.numel() == 0:
        raise AdapterError(
            f"{where}: expected a matrix, or a kernel of a convolution, got {list(down.shape)}. "
            "Only plain LoRA is read."
        )
    return down.shape[0]


def number_in(tensor: Tensor, where: str) -> float:
    """Return the one number that a tensor holds.

    Raises:
        AdapterError: If it holds another count of numbers, or one that is not finite.
    """
    if tensor.numel() != 1 or not torch.isfinite(tensor).all():
        raise AdapterError(
            f"{where}: expected one finite number, got {list(tensor.shape)}. Fetch the file again."
        )
    return float(tensor)


def find_file(path: Path, name: str) -> Path:
    """Return a weights file by its path or by that of its folder.

    Raises:
        AdapterError: If there is none.
    """
    found = path / name if path.is_dir() else path
    if not found.is_file() or found.suffix != ".safetensors":
        raise AdapterError(
            f"{path}: expected a .safetensors file, or a folder with {name}, got none. "
            "Check the path; other kinds of files may run code and are not read."
        )
    return found


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file and the texts of its header.

    Raises:
        AdapterError: If it is missing or broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError, ValueError) as error:
        raise AdapterError(
            f"{path}: expected a whole safetensors file, got: {error}. Fetch the file again."
        ) from error


def check_free(out: Path) -> None:
    """Raise if something stands where a foreign file shall go.

    Raises:
        StorageError: If there is; it could be anything, and is not replaced.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StorageError(
            f"{out}: expected a free name, got something that exists. Name a new one with -o."
        )
