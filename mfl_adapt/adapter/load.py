"""Read an adapter folder, refuse what does not belong, and put it on its base."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfl_adapt.adapter.attach import inject
from mfl_adapt.adapter.attached import STOCK_PREFIX, AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.extra import rebuild, with_prefix
from mfl_adapt.adapter.frozen import check_frozen, freeze_base
from mfl_adapt.adapter.passport import check_base, check_schema
from mfl_adapt.adapter.save import (
    CONFIG,
    EXTRA,
    HEADER_KEY,
    PASSPORT,
    WEIGHTS,
    check_finite_weights,
)
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base
from mfl_adapt.plugin.registry import PluginHost

logger = logging.getLogger(__name__)

SAVE_DTYPES = {None: None, "float16": torch.float16}
"""Number formats of files by their name in passports; weights are always computed in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredAdapter:
    """An adapter folder that agrees with itself.

    Attributes:
        folder: Where it lies.
        config: peft's settings; None if it changes no layer.
        tensors: peft's weights by the names in their file, on the CPU.
        passport: What it says about itself.
        extra: Weights of its own network by the names in their file; empty without one.
    """

    folder: Path
    config: PeftConfig | None
    tensors: dict[str, Tensor]
    passport: dict[str, Any]
    extra: dict[str, Tensor] = field(default_factory=dict)

    @property
    def recipe(self) -> Any:
        """How to build its own network, or None."""
        return self.passport["adapter"].get("extra")


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
    described = passport["adapter"]
    # Folders of earlier versions always say a method, and have no field for the rest.
    changes_layers, has_extra = described.get("method", "") is not None, "extra" in described
    _check_files(folder, {WEIGHTS: changes_layers, CONFIG: changes_layers, EXTRA: has_extra})
    tensors = _read_part(folder / WEIGHTS, passport) if changes_layers else {}
    extra = _read_part(folder / EXTRA, passport) if has_extra else {}
    digest = digest_tensors(tensors | with_prefix(extra))
    if digest != passport["adapter_hash"]:
        name = WEIGHTS if changes_layers else EXTRA
        both = f" and {EXTRA}" if changes_layers and has_extra else ""
        raise AdapterError(
            f"{folder / name}{both}: expected weights of hash {passport['adapter_hash']}, which "
            f"the passport names, got {digest}. Fetch the adapter again; the weights were changed."
        )
    config = _read_config(folder / CONFIG) if changes_layers else None
    return StoredAdapter(folder, config, tensors, passport, extra)


def load(
    base: Base,
    folder: Path,
    *,
    name: str = "default",
    trainable: bool = False,
    host: PluginHost | None = None,
) -> AttachedAdapter:
    """Put a saved adapter on the base it was made for.

    Args:
        base: Base whose network is changed in place; left as it was if the adapter is refused.
        folder: Folder that ``save`` wrote.
        name: peft's name for it, of no consequence.
        trainable: Whether its parameters get gradients, to train on.
        host: The run's plugins, for an adapter with a network of its own, which may come from a
            single file; those that are installed are found without.

    Returns:
        The adapter, at strength 1.

    Raises:
        AdapterError: If the folder is broken, belongs to another base, or its tensors are not
            exactly those that its settings call for; or its own network belongs to a plugin that
            is not installed.
        ConfigError: If that plugin does not take the settings it was made with.
    """
    stored = read_adapter(folder)
    check_base(stored.passport, base, str(folder))
    seed = int(stored.passport["adapter"]["seed"])
    extra = None
    if stored.recipe is not None:
        extra = rebuild(stored.recipe, str(stored.folder / PASSPORT), host)
    save_dtype = _save_dtype(stored)
    adapter = inject(base, stored.config, name=name, seed=seed, extra=extra)
    adapter.save_dtype = save_dtype  # so that saving it again gives the same bytes
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
    folder = stored.folder
    _check_match(adapter.peft_tensors(), stored.tensors, folder / WEIGHTS, CONFIG)
    _check_match(adapter.extra_tensors(), stored.extra, folder / EXTRA, PASSPORT)
    plain = {key.removeprefix(STOCK_PREFIX): tensor for key, tensor in stored.tensors.items()}
    if adapter.config is not None:
        set_peft_model_state_dict(adapter.base.module, plain, adapter_name=adapter.name)
    if adapter.extra is not None:
        adapter.extra.load_state_dict(stored.extra)
    arrived = digest_tensors(adapter.state_dict())
    if arrived != stored.passport["adapter_hash"]:
        raise AdapterError(
            f"{stored.folder}: expected the network to hold weights of hash "
            f"{stored.passport['adapter_hash']} after loading, got {arrived}. "
            "Use the version of peft that the adapter was made with."
        )


def _save_dtype(stored: StoredAdapter) -> torch.dtype | None:
    """Number format of the files, where the passport names one.

    Raises:
        AdapterError: If it names another than adapters are saved in.
    """
    name = stored.passport["adapter"].get("dtype")
    if name not in SAVE_DTYPES:
        raise AdapterError(
            f"{stored.folder / PASSPORT}: expected adapter.dtype float16 or none, got {name!r}. "
            "Load it with the version of mfl_adapt that wrote it."
        )
    return SAVE_DTYPES[name]


def _check_match(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, settings: str
) -> None:
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
                f"{path}: expected exactly the {len(expected)} tensors that {settings} "
                f"calls for, got a file in which {names[0]} {problem} ({len(names)} such). "
                "Fetch the adapter again."
            )
    for name, wanted in expected.items():
        tensor = found[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            raise AdapterError(
                f"{path}: expected {name} {list(wanted.shape)} {wanted.dtype}, got "
                f"{list(tensor.shape)} {tensor.dtype}. It was made for another base or rank."
            )


def _check_files(folder: Path, expected: Mapping[str, bool]) -> None:
    """Raise if there is a file of which the passport says nothing.

    Raises:
        AdapterError: Naming that file. One that is missing is reported by who reads it.
    """
    for name, wanted in expected.items():
        if not wanted and (folder / name).exists():
            raise AdapterError(
                f"{folder}: expected no {name}, of which {PASSPORT} says nothing, got one. "
                "Fetch the adapter again; files of two adapters were mixed."
            )


def _read_part(path: Path, passport: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read one file of weights.

    Raises:
        AdapterError: If it is missing or broken, carries another passport, or holds a weight that
            is not finite.
    """
    tensors, header = _read_weights(path)
    if header != passport:
        raise AdapterError(
            f"{path.parent}: expected one passport in {PASSPORT} and in the header of {path.name}, "
            "got two that differ. Fetch the adapter again; one of the files was changed."
        )
    check_finite_weights(tensors, str(path), "Train the adapter again.")
    return tensors


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
