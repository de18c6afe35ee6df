"""Write an adapter as a folder that stock peft can load."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig
from torch import Tensor

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.card import model_card
from mfl_adapt.adapter.effect import check_effect, prove
from mfl_adapt.adapter.passport import make_passport
from mfl_adapt.adapter.schema import (
    CARD,
    CONFIG,
    EXTRA,
    HEADER_KEY,
    MAX_JSON,
    PASSPORT,
    WEIGHTS,
    dump_json,
)
from mfl_adapt.adapter.storage import encode_safetensors, write_folder
from mfl_adapt.errors import AdapterError

logger = logging.getLogger(__name__)


def save(
    attached: AttachedAdapter,
    folder: Path,
    *,
    passport: Mapping[str, Any],
    needs_effect: bool = True,
) -> Path:
    """Write an adapter with its passport, whole or not at all.

    What it does is measured and stands in the passport. Saving what was loaded, with the passport
    it came with, gives the same bytes again.

    Args:
        attached: The adapter; strength and merging do not enter the file.
        folder: Folder to make, or an adapter folder to replace.
        passport: What the run knows, see ``passport.make_passport``; the fields about base and
            adapter are filled in.
        needs_effect: Refuse an adapter that changes nothing. False is for what a run leaves on
            its way: an adapter after the first step of a slow start may still do nothing.

    Returns:
        The folder.

    Raises:
        AdapterError: If a weight is not finite in the format of files, the adapter has no effect
            or one that is not finite, or the passport cannot be written.
        StorageError: If the folder cannot be written; an older one there stays as it was.
    """
    remedy = "Nothing was saved."
    if attached.save_dtype is not None:
        remedy += (
            f" Weights beyond the range of {attached.save_dtype} need train.save_dtype=float32."
        )
    check_finite_weights(attached.state_dict(), f"adapter {attached.name}", remedy)
    effect = prove(attached)
    if needs_effect:
        check_effect(effect, f"adapter {attached.name}")
    complete = make_passport(attached, passport, effect)
    check_size(complete)
    metadata = {"format": "pt", HEADER_KEY: dump_json(complete)}
    files = {
        PASSPORT: (dump_json(complete, indent=2) + "\n").encode(),
        CARD: model_card(complete).encode(),
    }
    if attached.config is not None:
        files[WEIGHTS] = encode_safetensors(attached.peft_tensors(), metadata)
        files[CONFIG] = _config_json(attached.config, attached.base.id)
    if attached.extra is not None:
        files[EXTRA] = encode_safetensors(attached.extra_tensors(), metadata)
    write_folder(folder, files, replaces={WEIGHTS, CONFIG, EXTRA})
    logger.debug("adapter %s saved to %s", attached.name, folder)
    return folder


def check_size(passport: Mapping[str, Any]) -> None:
    """Raise if a passport is larger than readers accept.

    Raises:
        AdapterError: If it is.
    """
    # It stands in the header beside the names of the tensors, escaped once more.
    size = len(dump_json(dump_json(passport)).encode())
    if size > MAX_JSON // 2:
        raise AdapterError(
            f"passport: expected at most {MAX_JSON // 2} bytes, got {size}. "
            "Leave out what belongs into other files."
        )


def check_finite_weights(tensors: Mapping[str, Tensor], where: str, remedy: str) -> None:
    """Raise if a weight is NaN or infinite, by name.

    Args:
        tensors: Tensors by name.
        where: The adapter, for the message.
        remedy: A sentence that says what to do.

    Raises:
        AdapterError: If any entry is not finite.
    """
    for name, tensor in tensors.items():
        broken = int((~torch.isfinite(tensor)).sum())
        if broken:
            raise AdapterError(
                f"{where}: expected finite weights, got {broken} of {tensor.numel()} in {name} "
                f"that are not. {remedy}"
            )


def _config_json(config: PeftConfig, base_id: str) -> bytes:
    """Return peft's settings with sorted keys and lists; peft itself writes sets in any order."""
    settings = config.to_dict() | {"base_model_name_or_path": base_id, "inference_mode": True}
    plain = {key: sorted(item) if isinstance(item, set) else item for key, item in settings.items()}
    return (dump_json(plain, indent=2) + "\n").encode()
