"""Read an adapter folder, refuse what does not belong, and put it on its base."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftConfig, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfl_adapt.adapter.attach import inject
from mfl_adapt.adapter.attached import STOCK_PREFIX, AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.frozen import check_frozen, freeze_base
from mfl_adapt.adapter.passport import check_base, check_schema
from mfl_adapt.adapter.save import CONFIG, HEADER_KEY, PASSPORT, WEIGHTS, check_finite_weights
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class StoredAdapter:
    """An adapter folder that agrees with itself.

    Attributes:
        folder: Where it lies.
        config: peft's settings.
        tensors: Weights by the names in the file, on the CPU.
        passport: What it says about itself.
    """

    folder: Path
    config: PeftConfig
    tensors: dict[str, Tensor]
    passport: dict[str, Any]


def read_adapter(folder: Path) -> StoredAdapter:
    """Read an adapter folder and hold its parts against one another; needs no base.

    Args:
        folder: Folder that ``save`` wrote.

    Returns:
        Weights, settings and passport.

    Raises:
        AdapterError: If a file is missing or broken, a weight is not finite, or the weights are
            not those that the passport names.
    """
    folder = Path(folder)
    passport = _read_json(folder / PASSPORT)
    check_schema(passport, str(folder / PASSPORT))
    tensors, header = _read_weights(folder / WEIGHTS)
    if header != passport:
        raise AdapterError(
            f"{folder}: expected one passport in {PASSPORT} and in the header of {WEIGHTS}, got "
            "two that differ. Fetch the adapter again; one of the files was changed."
        )
    check_finite_weights(tensors, str(folder / WEIGHTS), "Train the adapter again.")
    digest = digest_tensors(tensors)
    if digest != passport["adapter_hash"]:
        raise AdapterError(
            f"{folder / WEIGHTS}: expected weights of hash {passport['adapter_hash']}, which the "
            f"passport names, got {digest}. Fetch the adapter again; the weights were changed."
        )
    return StoredAdapter(folder, _read_config(folder / CONFIG), tensors, passport)


def load(
    base: Base, folder: Path, *, name: str = "default", trainable: bool = False
) -> AttachedAdapter:
    """Put a saved adapter on the base it was made for.

    Args:
        base: Base whose network is changed in place; left as it was if the adapter is refused.
        folder: Folder that ``save`` wrote.
        name: peft's name for it, of no consequence.
        trainable: Whether its parameters get gradients, to train on.

    Returns:
        The adapter, at strength 1.

    Raises:
        AdapterError: If the folder is broken, belongs to another base, or its tensors are not
            exactly those that its settings call for.
    """
    stored = read_adapter(folder)
    check_base(stored.passport, base, str(folder))
    seed = int(stored.passport["adapter"]["seed"])
    adapter = inject(base, stored.config, name=name, seed=seed)
    try:
        _fill(adapter, stored)
    except AdapterError:
        adapter.remove()
        raise
    adapter.passport = stored.passport
    freeze_base(base.module, train_adapter=trainable)
    check_frozen(base.module, train_adapter=trainable)
    logger.debug("adapter %s loaded on %s", folder, base.id)
    return adapter


def _fill(adapter: AttachedAdapter, stored: StoredAdapter) -> None:
    """Replace the fresh weights by the stored ones, and prove that it worked.

    Raises:
        AdapterError: If names, shapes or types differ, or the weights did not arrive.
    """
    _check_match(adapter.state_dict(), stored.tensors, stored.folder)
    plain = {key.removeprefix(STOCK_PREFIX): tensor for key, tensor in stored.tensors.items()}
    set_peft_model_state_dict(adapter.base.module, plain, adapter_name=adapter.name)
    arrived = digest_tensors(adapter.state_dict())
    if arrived != stored.passport["adapter_hash"]:
        raise AdapterError(
            f"{stored.folder}: expected the network to hold weights of hash "
            f"{stored.passport['adapter_hash']} after loading, got {arrived}. "
            "Use the version of peft that the adapter was made with."
        )


def _check_match(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], folder: Path) -> None:
    """Raise at the first tensor that is missing, unexpected or of another form.

    Raises:
        AdapterError: Naming that tensor.
    """
    for problem, names in (
        ("is missing", sorted(expected.keys() - found.keys())),
        ("is not expected", sorted(found.keys() - expected.keys())),
    ):
        if names:
            raise AdapterError(
                f"{folder / WEIGHTS}: expected exactly the {len(expected)} tensors that {CONFIG} "
                f"calls for, got a file in which {names[0]} {problem} ({len(names)} such). "
                "Fetch the adapter again."
            )
    for name, wanted in expected.items():
        tensor = found[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            raise AdapterError(
                f"{folder / WEIGHTS}: expected {name} {list(wanted.shape)} {wanted.dtype}, got "
                f"{list(tensor.shape)} {tensor.dtype}. It was made for another base or rank."
            )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdapterError(
            f"{path}: expected a file of an adapter folder, got: {error.strerror}. "
            "Check the path; mfl_adapt writes this file beside the weights."
        ) from error
    except ValueError as error:
        raise AdapterError(
            f"{path}: expected JSON, got: {error}. Fetch the adapter again."
        ) from error


def _read_weights(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the passport of the header; None if there is none.

    Raises:
        AdapterError: If the file is missing or broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        return tensors, None if header is None else json.loads(header)
    except (OSError, SafetensorError, ValueError) as error:
        raise AdapterError(
            f"{path}: expected a whole safetensors file, got: {error}. Fetch the adapter again."
        ) from error


def _read_config(path: Path) -> PeftConfig:
    settings = _read_json(path)
    try:
        return PeftConfig.from_pretrained(str(path.parent))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        method = settings.get("peft_type") if isinstance(settings, dict) else settings
        raise AdapterError(
            f"{path}: expected settings of a peft method, got peft_type {method!r}: {error}. "
            "Fetch the adapter again, or update peft."
        ) from error
