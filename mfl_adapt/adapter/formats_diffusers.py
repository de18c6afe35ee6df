"""``pytorch_lora_weights.safetensors``, as diffusers reads and writes it for a UNet.

Names are ``unet.<layer>.lora_A.weight``; rank and alpha stand in the header. Files without that
header mean a factor of 1, or carry an ``alpha`` for each layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mfl_adapt.adapter.compose import lora_config
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
from mfl_adapt.adapter.passport import dump_json
from mfl_adapt.adapter.storage import encode_safetensors
from mfl_adapt.adapter.updates import LowRank, alpha_of
from mfl_adapt.errors import AdapterError, did_you_mean
from mfl_adapt.files import write_atomically

NAME = "pytorch_lora_weights.safetensors"
_HEADER = "lora_adapter_metadata"
_PREFIX = "unet."
_KEPT = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora")


def write_diffusers(stored: StoredAdapter, out: Path) -> Path:
    """Write an adapter of a UNet for diffusers; the matrices stay as they are, bit for bit.

    Args:
        stored: A plain LoRA.
        out: The file, or the folder that gets it.

    Returns:
        The file.

    Raises:
        AdapterError: If the adapter is no plain LoRA, or not one of a UNet.
        StorageError: If the file exists or cannot be written.
    """
    layers = portable_layers(stored, "diffusers")
    if not is_unet(layers):
        raise AdapterError(
            f"{stored.folder}: expected an adapter of a UNet for --to diffusers, which knows no "
            f"other network here, got one that changes {min(layers)}. Use --to peft or kohya."
        )
    path = out if out.suffix == ".safetensors" else out / NAME
    check_free(out)
    # rsLoRA and patterns are folded into one alpha per layer, so that every version reads them.
    config = lora_config(layers)
    kept = {key: getattr(config, key) for key in _KEPT}
    header = {_PREFIX + key: value for key, value in kept.items()}
    header[f"{_PREFIX}target_modules"] = sorted(layers)
    metadata = {"format": "pt", _HEADER: dump_json(header, indent=2)}
    tensors = {
        f"{_PREFIX}{name}.lora_{letter}.weight": matrix
        for name, layer in layers.items()
        for letter, matrix in (("A", layer.down), ("B", layer.up))
    }
    write_atomically(path, encode_safetensors(tensors, metadata))
    return path


def read_diffusers(path: Path, module: nn.Module) -> Foreign:
    """Read what diffusers' ``save_lora_weights`` or ``save_lora_adapter`` wrote of a UNet.

    Args:
        path: The file or its folder.
        module: Network of the base, without an adapter.

    Raises:
        AdapterError: If the file is broken, holds more than a plain LoRA of a UNet, or names
            layers that the base does not have.
    """
    path = find_file(path, NAME)
    tensors, metadata = read_tensors(path)
    named = _of_unet(tensors, path)
    settings = _settings(metadata, path)
    alphas = {name: named.pop(name) for name in list(named) if name.endswith(".alpha")}
    known = adaptable(module)
    layers: dict[str, LowRank] = {}
    for name, (down, up) in _pairs(_to_peft(named), path).items():
        if name not in known:
            raise AdapterError(
                f"{path}: expected layers of the base, got {name}. {did_you_mean(name, known)}"
            )
        alpha = _alpha(name, down, settings, alphas, str(path))
        layers[name] = fit_to(known[name], LowRank(down, up, alpha), f"{path}: {name}")
    return from_layers(layers, path)


def _of_unet(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Take the prefix off.

    Raises:
        AdapterError: If there are tensors of another network.
    """
    others = [name for name in tensors if name.startswith(("text_encoder", "transformer."))]
    if others or not tensors:
        raise AdapterError(
            f"{path}: expected an adapter of a UNet alone, got {others[0] if others else 'nothing'}"
            f" ({len(others)} such). Save the UNet's part by itself."
        )
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _settings(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return peft's settings in the header; empty without any.

    Raises:
        AdapterError: If they are broken, or mean more than a plain LoRA.
    """
    try:
        header = json.loads(metadata.get(_HEADER, "{}"))
    except ValueError as error:
        raise AdapterError(
            f"{path}: expected JSON under {_HEADER}, got: {error}. Save the adapter again."
        ) from error
    if not isinstance(header, dict):
        raise AdapterError(f"{path}: expected a mapping under {_HEADER}, got {header!r}.")
    settings = {key.removeprefix(_PREFIX): value for key, value in header.items()}
    for key in ("use_dora", "lora_bias", "fan_in_fan_out", "modules_to_save"):
        if settings.get(key):
            raise AdapterError(
                f"{path}: expected a plain LoRA, got {key} {settings[key]!r}. "
                "Convert the merged model instead: --from base."
            )
    return settings


def _to_peft(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring the names of earlier versions of diffusers, which may stand beside peft's, into peft's.

    Its own function leaves those of peft as they are.
    """
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    converted: dict[str, Tensor] = convert_unet_state_dict_to_peft(tensors)
    return converted


def _pairs(tensors: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Sort matrices by layer.

    Raises:
        AdapterError: If one has no partner, or there is something else.
    """
    ends = (".lora_A.weight", ".lora_B.weight")
    names = sorted(name.removesuffix(ends[0]) for name in tensors if name.endswith(ends[0]))
    wrong = {name + end for name in names for end in ends} ^ tensors.keys()
    if wrong or not names:
        raise AdapterError(
            f"{path}: expected pairs of lora_A.weight and lora_B.weight, got "
            f"{min(wrong) if wrong else 'none'}, which is no such pair. Only plain LoRA is read."
        )
    return {name: (tensors[name + ends[0]], tensors[name + ends[1]]) for name in names}


def _alpha(
    name: str,
    down: Tensor,
    settings: Mapping[str, Any],
    alphas: Mapping[str, Tensor],
    where: str,
) -> float:
    """Return the alpha of a layer, by which ``alpha / rank`` is its factor."""
    rank = rank_of(down, f"{where}: {name}")
    if f"{name}.alpha" in alphas:
        return number_in(alphas[f"{name}.alpha"], f"{where}: {name}.alpha")
    if "lora_alpha" not in settings:
        return float(rank)
    alpha = alpha_of(name, settings.get("alpha_pattern"), settings["lora_alpha"], where)
    return alpha * sqrt(rank) if settings.get("use_rslora") else alpha
