"""Read an adapter folder, refuse what does not belong, and put it on its base."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
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
from mfl_adapt.adapter.effect import Effect, check_effect, find_difference, prove
from mfl_adapt.adapter.extra import rebuild, with_prefix
from mfl_adapt.adapter.forced import Forced, find_other_supplier
from mfl_adapt.adapter.frozen import check_frozen, freeze_base
from mfl_adapt.adapter.header import read_header
from mfl_adapt.adapter.passport import Mismatch, find_mismatches
from mfl_adapt.adapter.save import check_finite_weights
from mfl_adapt.adapter.schema import CONFIG, EXTRA, PASSPORT, WEIGHTS, read_json
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Base
from mfl_adapt.plugin.registry import PluginHost

logger = logging.getLogger(__name__)

_OTHER_EFFECT = (
    "It loads but does something else: use the versions of peft and of its plugins that its "
    "passport names."
)
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
    passport = read_header(folder).passport
    described = passport["adapter"]
    changes_layers, has_extra = described["method"] is not None, "extra" in described
    tensors = _read_part(folder / WEIGHTS) if changes_layers else {}
    extra = _read_part(folder / EXTRA) if has_extra else {}
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
    name: str | None = None,
    strength: float = 1.0,
    trainable: bool = False,
    host: PluginHost | None = None,
    force: bool = False,
    needs_effect: bool = True,
) -> AttachedAdapter:
    """Put a saved adapter on the base it was made for, and prove that it does what it did.

    Args:
        base: Base whose network is changed in place; left as it was if the adapter is refused.
        folder: Folder that ``save`` wrote.
        name: What to call it beside others on the base; None is ``default``, then ``default_2``
            and so on.
        strength: How much of it is added.
        trainable: Whether its parameters get gradients, to train on.
        host: The run's plugins, for an adapter with a network of its own, which may come from a
            single file; those that are installed are found without.
        force: Use it although its base has other weights, its contract or plugin API differ, its
            plugin has another supplier, or it does something else here. Each of them is logged as
            a warning and stands under ``forced`` in the adapter's passport, also when it is saved
            again. Nothing can force another architecture, or files that do not agree.
        needs_effect: Refuse an adapter that changes nothing. False is for what a run left on its
            way; see ``save``.

    Returns:
        The adapter. Others on the base are as before, but frozen if this one is trainable.

    Raises:
        AdapterError: If the folder is broken, belongs to another base, or its tensors are not
            exactly those that its settings call for; its own network belongs to a plugin that is
            not installed; or it does nothing, or something else than its passport says.
        ConfigError: If that plugin does not take the settings it was made with.
    """
    stored = read_adapter(folder)
    where = str(stored.folder)
    forced = Forced(where, force=force)
    forced.extend(find_mismatches(stored.passport, base, where))
    # Another base does something else, of course.
    is_other_base = bool(forced.texts)
    extra = None
    if stored.recipe is not None:
        forced.extend(find_other_supplier(stored.passport, host))
        extra = rebuild(stored.recipe, str(stored.folder / PASSPORT), host)
    save_dtype, seed = _save_dtype(stored), stored.passport["adapter"]["seed"]
    adapter = inject(base, stored.config, name=name, seed=seed, extra=extra)
    adapter.save_dtype = save_dtype  # so that saving it again gives the same bytes
    with ExitStack() as undo:
        undo.callback(adapter.remove)
        _fill(adapter, stored)
        effect = prove(adapter)
        if needs_effect:
            check_effect(effect, where)
        recorded = Effect.from_json(stored.passport["effect"])
        difference = None if is_other_base else find_difference(effect, recorded, base)
        if difference is not None:
            forced.extend([Mismatch(difference, _OTHER_EFFECT)])
        adapter.passport = forced.passport(stored.passport, base, effect)
        adapter.strength = strength
        if trainable:
            freeze_base(base.module, train_adapter=adapter.name)
            check_frozen(base.module, train_adapter=adapter.name)
        undo.pop_all()
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


def _read_part(path: Path) -> dict[str, Tensor]:
    """Read one file of weights, whose header was checked.

    Raises:
        AdapterError: If it is broken, or holds a weight that is not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError, ValueError) as error:
        raise AdapterError(
            f"{path}: expected a whole safetensors file, got: {error}. Fetch the adapter again."
        ) from error
    check_finite_weights(tensors, str(path), "Train the adapter again.")
    return tensors


def _read_config(path: Path) -> PeftConfig:
    settings = read_json(path)
    try:
        return PeftConfig.from_pretrained(str(path.parent))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        method = settings.get("peft_type") if isinstance(settings, dict) else settings
        raise AdapterError(
            f"{path}: expected settings of a peft method, got peft_type {method!r}: {error}. "
            "Fetch the adapter again, or update peft."
        ) from error
