"""Stock peft folders: settings and weights, and nothing about where they belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import PeftConfig

from mfl_adapt.adapter.attached import STOCK_PREFIX
from mfl_adapt.adapter.compose import check_only_layers
from mfl_adapt.adapter.formats import Foreign, check_free, read_tensors
from mfl_adapt.adapter.load import StoredAdapter
from mfl_adapt.adapter.save import CONFIG, WEIGHTS
from mfl_adapt.adapter.storage import encode_safetensors, write_folder
from mfl_adapt.errors import AdapterError, DataError
from mfl_adapt.files import read_json


def write_peft(stored: StoredAdapter, out: Path) -> Path:
    """Write an adapter of any method as a plain folder of peft, bit for bit.

    Returns:
        The folder.

    Raises:
        AdapterError: If the adapter has a network of its own, which peft cannot hold.
        StorageError: If the folder exists or cannot be written.
    """
    check_only_layers(stored, "--to peft")
    check_free(out)
    files = {
        WEIGHTS: encode_safetensors(stored.tensors, {"format": "pt"}),
        CONFIG: (stored.folder / CONFIG).read_bytes(),
    }
    write_folder(out, files)
    return out


def read_peft(folder: Path) -> Foreign:
    """Read a plain folder of peft; ours are such folders too.

    Raises:
        AdapterError: If a file is missing or broken, or the adapter brings weights of the base.
    """
    config = _read_settings(folder / CONFIG)
    path = folder / WEIGHTS
    if not path.is_file():
        raise AdapterError(
            f"{path}: expected the weights of a peft folder, got none. Save them as safetensors; "
            "other kinds of files may run code and are not read."
        )
    tensors, _ = read_tensors(path)
    # What peft writes of a bare network, without its wrapper, has no prefix.
    named = {
        f"{STOCK_PREFIX}{name.removeprefix(STOCK_PREFIX)}": one for name, one in tensors.items()
    }
    return Foreign(config, named, path)


def _read_settings(path: Path) -> PeftConfig:
    """Read peft's settings.

    Raises:
        AdapterError: If there are none, or they cannot be used on a frozen base.
    """
    try:
        settings = read_json(path, holds="peft's settings")
    except DataError as error:
        raise AdapterError(str(error)) from error
    _check_settings(settings, path)
    try:
        return PeftConfig.from_pretrained(str(path.parent))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AdapterError(
            f"{path}: expected settings of a peft method, got peft_type "
            f"{settings.get('peft_type')!r}: {error}. Fetch the adapter again, or update peft."
        ) from error


def _check_settings(settings: Any, path: Path) -> None:
    """Raise if settings ask for more than an adapter on a frozen base.

    Raises:
        AdapterError: Naming the key.
    """
    if not isinstance(settings, dict):
        raise AdapterError(
            f"{path}: expected peft's settings, got {type(settings).__name__}. "
            "Fetch the adapter again."
        )
    bias = settings.get("bias", "none")
    for key, bad in (
        ("modules_to_save", settings.get("modules_to_save")),
        ("trainable_token_indices", settings.get("trainable_token_indices")),
        ("target_parameters", settings.get("target_parameters")),
        ("bias", None if bias == "none" else bias),
    ):
        if bad:
            raise AdapterError(
                f"{path}: expected an adapter that leaves the base's own weights alone, got "
                f"{key} {bad!r}. Convert the merged model instead: --from base."
            )
