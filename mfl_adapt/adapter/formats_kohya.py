"""Names as kohya's trainers write them: ``lora_unet_down_blocks_0_..._to_q.lora_down.weight``.

The dots of a layer's name have become underscores there, and some names have underscores of their
own. So a name is never taken apart: it is looked up among the real layers of the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mfl_adapt.adapter.formats import (
    Foreign,
    adaptable,
    check_free,
    find_file,
    fit_to,
    from_layers,
    is_unet,
    number_in,
    portable_layers,
    rank_of,
    read_tensors,
)
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.storage import encode_safetensors
from mfl_adapt.adapter.updates import LowRank
from mfl_adapt.errors import AdapterError, StorageError, did_you_mean
from mfl_adapt.files import write_atomically

UNET, OTHER = "lora_unet_", "lora_gslrm_"
"""What names begin with: that of the trainers for a UNet, one of ours for any other network."""
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"


def write_kohya(stored: StoredAdapter, out: Path) -> Path:
    """Write an adapter with kohya's names; the matrices stay as they are, bit for bit.

    The format knows one alpha per layer, so rsLoRA is folded into it.

    Args:
        stored: A plain LoRA.
        out: The file.

    Returns:
        The file.

    Raises:
        AdapterError: If the adapter is no plain LoRA.
        StorageError: If the file exists, is no ``.safetensors``, or cannot be written.
    """
    layers = portable_layers(stored, "kohya")
    if out.suffix != ".safetensors":
        raise StorageError(
            f"{out}: expected a name that ends in .safetensors, as this format is one file. "
            "Name it with -o."
        )
    check_free(out)
    prefix = UNET if is_unet(layers) else OTHER
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        stem = prefix + name.replace(".", "_")
        tensors[stem + _DOWN], tensors[stem + _UP] = layer.down, layer.up
        tensors[stem + _ALPHA] = torch.tensor(layer.alpha)
    write_atomically(out, encode_safetensors(tensors, {"format": "pt"}))
    return out


def read_kohya(path: Path, module: nn.Module) -> Foreign:
    """Read an adapter with kohya's names.

    Args:
        path: The file, or a folder that holds it as ``model.safetensors``.
        module: Network of the base, without an adapter.

    Raises:
        AdapterError: If the file is broken, holds more than a plain LoRA of this network, or names
            layers that the base does not have.
    """
    path = find_file(path, "model.safetensors")
    tensors, _ = read_tensors(path)
    names, known = _flat_names(module), adaptable(module)
    layers: dict[str, LowRank] = {}
    for stem in _stems(tensors, path):
        name = _look_up(stem, names, path)
        down, up = tensors[stem + _DOWN], tensors[stem + _UP]
        where, alpha = f"{path}: {stem}", float(rank_of(down, f"{path}: {stem}"))
        if stem + _ALPHA in tensors:
            alpha = number_in(tensors[stem + _ALPHA], where + _ALPHA)
        low_rank = LowRank(down, up, alpha)
        layers[name] = fit_to(known[name], low_rank, where)
    return from_layers(layers, path)


def _stems(tensors: Mapping[str, Tensor], path: Path) -> list[str]:
    """Return what the names of each layer begin with, sorted.

    Raises:
        AdapterError: If a matrix has no partner, or there is something that is none.
    """
    stems = sorted(name.removesuffix(_DOWN) for name in tensors if name.endswith(_DOWN))
    ours = {stem + end for stem in stems for end in (_DOWN, _UP, _ALPHA)}
    foreign = tensors.keys() - ours
    lonely = {stem + _DOWN for stem in stems if stem + _UP not in tensors}
    if foreign or lonely or not stems:
        raise AdapterError(
            f"{path}: expected lora_down.weight, lora_up.weight and alpha of each layer, got "
            f"{min(foreign | lonely, default='nothing')}, which is of another kind. "
            "Only plain LoRA is read."
        )
    return stems


def _flat_names(module: nn.Module) -> dict[str, list[str]]:
    """Real names of layers by those that have only underscores."""
    flat: dict[str, list[str]] = {}
    for name in adaptable(module):
        flat.setdefault(name.replace(".", "_"), []).append(name)
    return flat


def _look_up(stem: str, names: Mapping[str, list[str]], path: Path) -> str:
    """Return the real name of a layer.

    Raises:
        AdapterError: If the base has no such layer, or two.
    """
    flat = next((stem.removeprefix(one) for one in (UNET, OTHER) if stem.startswith(one)), stem)
    if stem.startswith("lora_te"):
        raise AdapterError(
            f"{path}: expected an adapter of one network, got {stem}, which belongs to a text "
            "encoder. Save the other part by itself."
        )
    found = names.get(flat, [])
    if len(found) != 1:
        got = f"{stem}, which is {' and '.join(found)}" if found else stem
        raise AdapterError(
            f"{path}: expected layers of the base, got {got}. {did_you_mean(flat, names)}"
        )
    return found[0]
