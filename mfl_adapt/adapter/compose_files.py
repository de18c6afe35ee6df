"""From adapter folders to an adapter folder: what the commands call.

Everything is checked and computed before the first byte is written, and a folder appears whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfl_adapt.adapter.compose import Source, check_out, made_passport
from mfl_adapt.adapter.compose_merge import Merged, Recipe, merge
from mfl_adapt.adapter.compose_resize import Resized, resize, scale
from mfl_adapt.adapter.load import StoredAdapter, load
from mfl_adapt.adapter.save import save
from mfl_adapt.plugin import Base


def merge_folders(base: Base, stored: Sequence[StoredAdapter], out: Path, recipe: Recipe) -> Merged:
    """Merge adapters and save the result with its passport.

    Args:
        base: The base of all, without an adapter; it is without one again afterwards.
        stored: At least two adapters.
        out: Folder to make.
        recipe: How to merge.

    Raises:
        AdapterError: If they cannot be merged, or the result has no effect.
        RangeError: If a setting does not fit.
        StorageError: If the folder is taken or cannot be written.
    """
    check_out(out, [one.folder for one in stored])
    merged = merge(base, stored, recipe)
    try:
        passport = made_passport("mfl-adapt adapter merge", merged.sources, merge=merged.to_json())
        save(merged.adapter, out, passport=passport)
    finally:
        merged.adapter.remove()
    return merged


def add_metrics(base: Base, folder: Path, metrics: dict[str, object]) -> None:
    """Save a stored adapter again, with scores in its passport.

    Args:
        base: Its base, without an adapter; it is without one again afterwards.
        folder: The adapter.
        metrics: JSON values; they join those that are there.

    Raises:
        AdapterError: If the folder is broken.
        StorageError: If it cannot be written; it is as before then.
    """
    adapter = load(base, folder)
    try:
        assert adapter.passport is not None, "it came from a file"
        joined = {**(adapter.passport.get("metrics") or {}), **metrics}
        save(adapter, folder, passport={**adapter.passport, "metrics": joined})
    finally:
        adapter.remove()


def scale_folder(base: Base, stored: StoredAdapter, factor: float, out: Path) -> None:
    """Bake a strength into an adapter and save it with its passport.

    Raises:
        AdapterError: If the method has no strength, or the result has no effect.
        RangeError: If the factor is 0 or not finite.
        StorageError: If the folder is taken or cannot be written.
    """
    check_out(out, [stored.folder])
    adapter = scale(base, stored, factor)
    try:
        passport = made_passport("mfl-adapt adapter scale", [Source(stored, factor)])
        save(adapter, out, passport=passport)
    finally:
        adapter.remove()


def resize_folder(
    base: Base,
    stored: StoredAdapter,
    out: Path,
    *,
    rank: int | None = None,
    energy: float | None = None,
) -> Resized:
    """Bring an adapter to another rank and save it with its passport.

    Raises:
        AdapterError: If it has no updates of weight matrices, or the result has no effect.
        RangeError: If rank and energy are not exactly one, or out of range.
        StorageError: If the folder is taken or cannot be written.
    """
    check_out(out, [stored.folder])
    resized = resize(base, stored, rank=rank, energy=energy)
    try:
        how = {"rank": rank, "energy": energy, **resized.to_json()}
        passport = made_passport("mfl-adapt adapter resize", [Source(stored)], resize=how)
        save(resized.adapter, out, passport=passport)
    finally:
        resized.adapter.remove()
    return resized
