"""What lies in a folder, in words: our adapters, those of other programs, and broken ones.

Like ``header``, it needs no torch and reads no weights.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mfl_adapt.adapter.header import TensorEntry, list_files, read_header, read_tensor_header
from mfl_adapt.adapter.schema import CONFIG, PASSPORT, WEIGHTS, read_json
from mfl_adapt.errors import AdapterError

DIFFUSERS = "pytorch_lora_weights.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class Description:
    """What lies in a folder.

    Attributes:
        folder: Folder, or a single file of weights.
        kind: ``mfl_adapt`` with a passport; ``peft``, ``diffusers`` or ``kohya`` without.
        tensors: By name; those of a network of its own begin with ``extra.``.
        files: Size in bytes by name.
        passport: Of one of ours; empty otherwise.
        settings: peft's settings; empty where there are none.
    """

    folder: Path
    kind: str
    tensors: Mapping[str, TensorEntry]
    files: Mapping[str, int]
    passport: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"folder": str(self.folder)}

    @property
    def formats(self) -> str:
        """How many tensors there are of each number format."""
        counts = Counter(entry.dtype for entry in self.tensors.values())
        return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

    @property
    def numbers(self) -> int:
        """How many numbers the tensors hold."""
        return sum(entry.count for entry in self.tensors.values())


@dataclass(frozen=True, slots=True)
class Listed:
    """One adapter that was found.

    Attributes:
        folder: Where it lies.
        kind: As in ``Description``; ``broken`` for one that cannot be used.
        base: Id of its base; empty where nothing says it.
        method: peft's word for its method, or the component of its own network.
        numbers: How many it holds; 0 if it is broken.
        gain_db: Over the frozen base, in the foreground; None where it was not measured.
        reason: Why it is broken; empty otherwise.
    """

    folder: Path
    kind: str
    base: str = ""
    method: str = ""
    numbers: int = 0
    gain_db: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"folder": str(self.folder)}


def describe(folder: Path) -> Description:
    """Say what lies in a folder.

    Args:
        folder: Adapter folder of ours or of another program, or one file of weights.

    Raises:
        AdapterError: If there is no adapter, or a broken one.
    """
    if folder.is_file() and folder.suffix == ".safetensors":
        return _describe_file(folder, folder, {folder.name: folder.stat().st_size})
    files = list_files(folder)
    if PASSPORT in files:
        header = read_header(folder)
        settings = _settings(folder) if CONFIG in files else {}
        return Description(folder, "mfl_adapt", header.tensors, files, header.passport, settings)
    if CONFIG in files and WEIGHTS in files:
        tensors = read_tensor_header(folder / WEIGHTS)[0]
        return Description(folder, "peft", tensors, files, settings=_settings(folder))
    weights = [name for name in files if name.endswith(".safetensors")]
    if len(weights) == 1:
        return _describe_file(folder, folder / weights[0], files)
    found = f"{len(files)} files" if files else "nothing"
    if any(name.endswith(_PICKLES) for name in files):
        found = "weights in Python's pickle format, which can run code and is not read"
    raise AdapterError(
        f"{folder}: expected an adapter ({PASSPORT}, or {CONFIG} beside {WEIGHTS}, or one "
        f".safetensors file), got {found}. Name the folder of an adapter."
    )


def find_adapters(roots: Sequence[Path]) -> Iterator[Listed]:
    """Look for adapters below folders; hidden folders, checkpoints and links are passed over.

    Args:
        roots: Folders, which are looked at themselves too.

    Yields:
        Every adapter, sorted by path within each root; a broken one with its reason.

    Raises:
        AdapterError: If a root is no folder.
    """
    for root in roots:
        if not root.is_dir():
            raise AdapterError(
                f"{root}: expected a folder with adapters below it, got none. Check the path."
            )
        for place, folders, names in os.walk(root):
            # What a run keeps on the way is no adapter to choose from.
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and name != "checkpoints"
            )
            if {PASSPORT, CONFIG, DIFFUSERS} & set(names):
                yield _listed(Path(place))


def _listed(folder: Path) -> Listed:
    try:
        found = describe(folder)
    except AdapterError as error:
        return Listed(folder, "broken", reason=" ".join(str(error).split()))
    passport, settings = found.passport, found.settings
    base = passport["base"]["id"] if passport else settings.get("base_model_name_or_path") or ""
    method = settings.get("peft_type") or ""
    if passport:
        recipe = passport["adapter"].get("extra")
        own = str(recipe.get("use")) if isinstance(recipe, dict) else ""
        method = own or passport["adapter"]["method"] or ""
    gain = passport.get("metrics", {}).get("gain_over_base_foreground_db")
    is_number = isinstance(gain, (int, float)) and not isinstance(gain, bool)
    return Listed(
        folder, found.kind, str(base), str(method), found.numbers, gain if is_number else None
    )


def _describe_file(folder: Path, path: Path, files: Mapping[str, int]) -> Description:
    """Tell by the names of its tensors which program wrote a file.

    Raises:
        AdapterError: If they are those of no adapter.
    """
    tensors = read_tensor_header(path)[0]
    names = list(tensors)
    if any(name.endswith((".lora_down.weight", ".lora_up.weight")) for name in names):
        return Description(folder, "kohya", tensors, files)
    if any(".lora_A." in name or ".lora.down." in name for name in names):
        return Description(folder, "diffusers", tensors, files)
    first = names[0] if names else "none"
    raise AdapterError(
        f"{path}: expected the tensors of an adapter, got {len(names)}, the first named "
        f"{first}. Name the folder of an adapter."
    )


def _settings(folder: Path) -> Mapping[str, Any]:
    """Read peft's settings.

    Raises:
        AdapterError: If they are no mapping.
    """
    found = read_json(folder / CONFIG)
    if not isinstance(found, dict):
        raise AdapterError(
            f"{folder / CONFIG}: expected a mapping, got {type(found).__name__}. "
            "Fetch the adapter again."
        )
    return found
