"""What commands that make an adapter out of others share: its settings, its place, its passport."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, set_peft_model_state_dict
from torch import Tensor

from mfl_adapt.adapter.attach import inject
from mfl_adapt.adapter.attached import STOCK_PREFIX, AttachedAdapter
from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.frozen import freeze_base
from mfl_adapt.adapter.load import SAVE_DTYPES, StoredAdapter
from mfl_adapt.adapter.updates import LowRank, Update
from mfl_adapt.errors import AdapterError, StorageError
from mfl_adapt.plugin import Base


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An adapter that another one is made from.

    Attributes:
        stored: The adapter.
        weight: Its factor.
    """

    stored: StoredAdapter
    weight: float = 1.0

    def describe(self) -> dict[str, Any]:
        """Return what the passport of the new adapter says about it."""
        passport = self.stored.passport
        named = {
            "name": source_name(self.stored),
            "adapter_hash": passport["adapter_hash"],
            "weight": self.weight,
            "base": passport["base"],
            "method": passport["adapter"].get("method"),
        }
        data = passport.get("data") or {}
        if "fingerprint" in data:
            named["data"] = data["fingerprint"]
        forced = {"forced": passport["forced"]} if passport.get("forced") else {}
        return named | forced


def source_name(stored: StoredAdapter) -> str:
    """Name of the run that made an adapter, or of its folder, with the first digits of its hash."""
    run = (stored.passport.get("config") or {}).get("name")
    name = run if isinstance(run, str) else stored.folder.resolve().name
    return f"{name} ({stored.passport['adapter_hash'][:8]})"


def check_out(out: Path, sources: Sequence[Path]) -> None:
    """Raise unless a new adapter has a place of its own.

    Raises:
        StorageError: If it would replace what it is made from, or something that is no adapter.
    """
    for source in sources:
        if out.resolve() == source.resolve():
            raise StorageError(
                f"{out}: expected another folder than that of the source, got the same. "
                "Name a new one with -o."
            )
    if out.exists() and not (out / "passport.json").is_file():
        raise StorageError(
            f"{out}: expected a free name or an adapter folder, got something else. "
            "Name a new one with -o."
        )


def check_only_layers(stored: StoredAdapter, action: str) -> None:
    """Raise if an adapter has a network of its own.

    Raises:
        AdapterError: If it has.
    """
    if stored.recipe is not None:
        raise AdapterError(
            f"{stored.folder}: expected an adapter that only changes weights for {action}, got "
            f"one with a network of its own ({stored.recipe['use']}). Use it as it is."
        )


def check_same_base(stored: Sequence[StoredAdapter], action: str, *, remedy: str) -> None:
    """Raise unless all adapters were made for the same weights.

    Raises:
        AdapterError: If two were not; the message names both sides.
    """
    first = stored[0]
    for other in stored[1:]:
        for field in ("sha256", "fingerprint"):
            mine, theirs = first.passport["base"].get(field), other.passport["base"].get(field)
            if mine != theirs:
                raise AdapterError(
                    f"{action}: expected adapters of one base, got {first.folder} for "
                    f"{first.passport['base'].get('id')} with {field} {mine} and {other.folder} "
                    f"for {other.passport['base'].get('id')} with {field} {theirs}. {remedy}"
                )


def check_no_bias(updates: Mapping[str, Update], where: str, action: str) -> None:
    """Raise if an update is that of a bias, for which a low-rank adapter has no place.

    Raises:
        AdapterError: Naming the layer.
    """
    biases = [name for name, update in updates.items() if len(update.shape) == 1]
    if biases:
        raise AdapterError(
            f"{where}: expected updates of weight matrices for {action}, got one of "
            f"{biases[0]} ({len(biases)} such), which has no low-rank form. Use it as it is."
        )


def lora_config(layers: Mapping[str, LowRank]) -> LoraConfig:
    """Return peft's settings for matrices whose ranks and alphas may differ.

    The commonest rank and alpha are the defaults; layers that differ stand in peft's patterns,
    by their full names.
    """
    rank, alpha = _commonest([one.rank for one in layers.values()]), _common_alpha(layers)
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted(layers),
        rank_pattern={
            f"^{name}": one.rank for name, one in sorted(layers.items()) if one.rank != rank
        },
        alpha_pattern={
            f"^{name}": _plain(one.alpha)
            for name, one in sorted(layers.items())
            if _plain(one.alpha) != alpha
        },
    )


def lora_tensors(layers: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Return the matrices by the names that stock peft gives them in files."""
    return {
        f"{STOCK_PREFIX}{name}.lora_{letter}.weight": matrix
        for name, layer in layers.items()
        for letter, matrix in (("A", layer.down), ("B", layer.up))
    }


def _common_alpha(layers: Mapping[str, LowRank]) -> int | float:
    return _commonest([_plain(one.alpha) for one in layers.values()])


def _commonest(values: Sequence[Any]) -> Any:
    """The commonest value; of several, the smallest, so that the order does not matter."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def _plain(alpha: float) -> int | float:
    """Write 16 where 16.0 is meant, as peft does."""
    return int(alpha) if float(alpha).is_integer() else float(alpha)


def put_on(
    base: Base,
    config: PeftConfig,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    save_dtype: torch.dtype | None = None,
) -> AttachedAdapter:
    """Put an adapter that was computed, not trained, on its base.

    Args:
        base: Base without an adapter; its network is changed in place.
        config: peft's settings.
        tensors: Weights by the names in peft's files; kept in float32.
        where: The adapter, for messages.
        save_dtype: Number format of its files; None is float32.

    Returns:
        The adapter, at strength 1, without gradients.

    Raises:
        AdapterError: If the tensors are not exactly those that the settings call for on this base.
    """
    adapter = inject(base, config, name="default", seed=0)
    try:
        _fill(adapter, tensors, where)
    except AdapterError:
        adapter.remove()
        raise
    adapter.save_dtype = save_dtype
    adapter.round()
    freeze_base(base.module, train_adapter=False)
    return adapter


def save_dtype_of(stored: StoredAdapter) -> torch.dtype | None:
    """Return the number format of an adapter's files; None is float32."""
    return SAVE_DTYPES.get(stored.passport["adapter"].get("dtype"))


def _fill(adapter: AttachedAdapter, tensors: Mapping[str, Tensor], where: str) -> None:
    """Replace the fresh weights.

    Raises:
        AdapterError: If a tensor is missing, unexpected or of another shape, or did not arrive.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in adapter.peft_tensors().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    if different:
        name = different[0]
        raise AdapterError(
            f"{where}: expected the {len(wanted)} tensors that its settings call for on "
            f"{adapter.base.id}, got {name} {_shape(found, name)} instead of "
            f"{_shape(wanted, name)} ({len(different)} such). It was made for another network."
        )
    plain = {name.removeprefix(STOCK_PREFIX): tensor for name, tensor in tensors.items()}
    set_peft_model_state_dict(adapter.base.module, plain, adapter_name=adapter.name)
    floats = {name: tensor.float() for name, tensor in tensors.items()}
    if digest_tensors(adapter.peft_tensors()) != digest_tensors(floats):
        raise AdapterError(
            f"{where}: expected peft to take over all weights, got others in the network. "
            "Use another version of peft."
        )


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return str(list(shapes[name])) if name in shapes else "none"


def made_passport(made_by: str, sources: Sequence[Source], **more: Any) -> dict[str, Any]:
    """Return the evidence of an adapter that was made from others.

    No score of a source is copied: it says nothing about what was made of it.

    Args:
        made_by: Command, as typed.
        sources: What it was made from, at least one.
        **more: Further fields, JSON values.
    """
    first = sources[0].stored.passport
    base = (first.get("config") or {}).get("base")
    plugin = str(first["base"].get("id")).partition(".")[0]
    plugins = first.get("plugins") or {}
    passport: dict[str, Any] = {
        "made_by": made_by,
        "sources": [source.describe() for source in sources],
        # The rest of a run's configuration says nothing about what no run has made.
        "config": {} if base is None else {"base": base},
        "plugins": {plugin: plugins[plugin]} if plugin in plugins else {},
        "metrics": {},
    }
    licence = join_licences([source.stored for source in sources])
    return passport | ({"licence": licence} if licence else {}) | more


def join_licences(stored: Sequence[StoredAdapter]) -> dict[str, Any] | None:
    """Return one licence that holds the terms of all, or None if no adapter states one."""
    found = [one.passport.get("licence") for one in stored]
    found = [{"name": one} if isinstance(one, str) else one for one in found]
    stated = [one for one in found if isinstance(one, dict)]
    if not stated:
        return None
    names = sorted({str(one["name"]) for one in stated if one.get("name")})
    terms = sorted({str(one["terms"]) for one in stated if one.get("terms")})
    inherited = {
        (str(one.get("name")), str(one.get("terms")), str(one.get("of"))): one
        for licence in stated
        for one in licence.get("inherited") or ()
    }
    if len(stated) < len(found):
        terms.append("at least one source states no licence")
    own = {"name": " AND ".join(names), "terms": "; ".join(terms)} if names else {}
    return own | {"inherited": [inherited[key] for key in sorted(inherited)]}
