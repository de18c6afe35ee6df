"""Say what weights are: compare them with their record, load them strictly, describe them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.errors import CheckpointError, ConfigError
from mfl_adapt.models.fetched import WEIGHTS, Fetched, find_folder, read_fetched
from mfl_adapt.plugin import Describes

if TYPE_CHECKING:
    from mfl_adapt.plugin import Base, BaseSpec
    from mfl_adapt.plugin.registry import Resolved


def verify_files(id: str) -> Fetched | None:
    """Compare fetched files with their record; return it, or None if nothing was fetched.

    Raises:
        CheckpointError: If a file is missing or has changed, or the record is damaged.
    """
    recorded = read_fetched(id)
    changed = find_changes(id, recorded) if recorded else []
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise CheckpointError(
            f"{find_folder(id) / WEIGHTS / changed[0]}: expected the file as it was fetched, got "
            f"none or another one{more}. Run `mfl-adapt base fetch {id}` to mend it."
        )
    return recorded


def find_changes(id: str, recorded: Fetched) -> list[str]:
    """Return the names of fetched files that are missing or have changed, sorted."""
    folder = find_folder(id) / WEIGHTS
    return sorted(
        name for name, file in recorded.files.items() if _sha256(folder / name) != file.sha256
    )


def check_takes_path(base: Resolved[BaseSpec], path: Path) -> None:
    """Raise unless a base can be loaded from a file or folder of the user's.

    Raises:
        ConfigError: If it only ever is the one that its plugin ships.
    """
    if "checkpoint" not in base.spec.config.model_fields:
        raise ConfigError(
            f"{base.name}: expected no path, as its weights ship with {base.distribution}, got "
            f"{path}. Leave the path out, or name another base."
        )


def describe_base(base: Base, spec: BaseSpec) -> dict[str, str]:
    """Return what a loaded base is, as facts by name in the order to print them.

    Args:
        base: As its plugin built it.
        spec: The plugin's record, which knows the published model.
    """
    weights = list(base.module.parameters())
    size, published = base.contract.size, spec.contract.size
    other = "" if size == published else f" (the published model: {published} px)"
    facts = {
        "architecture": type(base.module).__name__,
        "weights": f"{sum(one.numel() for one in weights):,}",
        "dtype": ", ".join(sorted({str(one.dtype).removeprefix("torch.") for one in weights})),
        "picture": f"{size} x {size} px{other}",
    }
    if isinstance(base, Describes):
        facts.update(base.describe())
    return {**facts, "fingerprint": base.fingerprint, "sha256": base.sha256}


def _sha256(path: Path) -> str | None:
    """Hash a file; None if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
