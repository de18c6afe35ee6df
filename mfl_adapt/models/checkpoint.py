"""Find, verify and load the weights of a frozen base.

    path -> read_checkpoint -> Checkpoint (tensors, float32, sha256) -> load_into(module)

Nothing in a file is executed: a `.pt` is read as tensors only, and a `.safetensors` holds
nothing else. Whatever is wrong with a file is a ``CheckpointError`` of one line that names it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.weight_files import find_kind, open_file, read_safetensors, read_torch

logger = logging.getLogger(__name__)

# Where training programs keep the weights, in the order in which they are looked for.
_WEIGHT_KEYS = ("model", "model_state_dict", "state_dict")
# What wrappers put before every name: data-parallel training and torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
# FaceLift's file carries its frozen VGG-19 below the model; losses may want it, the model not.
_ASIDE = "loss_calculator."


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The weights of one file.

    Attributes:
        path: Where they were read.
        tensors: By name without wrapper prefixes, dense float32 on the CPU, all finite.
        aside: Tensors of FaceLift's loss network, as stored.
        sha256: Of the whole file, in hexadecimal.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    aside: Mapping[str, Tensor]
    sha256: str


def read_checkpoint(path: Path, *, expected_sha256: str | None = None) -> Checkpoint:
    """Read a `.pt` or `.safetensors` file, told apart by content.

    A `.pt` holds its weights under ``model``, ``model_state_dict`` or ``state_dict``, or is
    itself a mapping from names to tensors.

    Args:
        path: The file.
        expected_sha256: Refuse the file, before it is parsed, unless it has this hash.

    Raises:
        CheckpointError: If the file is missing, damaged, of another kind, not the expected one,
            or holds anything but finite floating-point tensors.
    """
    with open_file(path) as file:
        kind = find_kind(path, file.read(16))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if expected_sha256 is not None and digest != expected_sha256.lower():
        raise CheckpointError(
            f"{path}: expected the file with SHA-256 {expected_sha256}, got {digest}. "
            "Download it again, or name the file that was meant."
        )
    content = read_safetensors(path) if kind == "safetensors" else read_torch(path)
    named = _without_wrappers(_find_weights(path, content))
    aside = {name: value for name, value in named.items() if name.startswith(_ASIDE)}
    tensors = {
        name: _to_float32(path, name, value)
        for name, value in named.items()
        if not name.startswith(_ASIDE)
    }
    logger.debug("read %d tensors from %s (SHA-256 %s)", len(tensors), path, digest)
    return Checkpoint(path, tensors, aside, digest)


def load_into(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Give a module the weights of a checkpoint, all of them and nothing else.

    The module takes over the checkpoint's tensors; it may have been built on the meta device.

    Raises:
        CheckpointError: If a name is missing or unexpected or a shape differs; the one line
            says so for all of them.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in checkpoint.tensors.items()}
    complaints = [
        _count("missing", [name for name in wanted if name not in found]),
        _count("unexpected", [name for name in found if name not in wanted]),
        _count(
            "of another shape",
            [
                f"{name} {list(found[name])} instead of {list(shape)}"
                for name, shape in wanted.items()
                if name in found and found[name] != shape
            ],
        ),
    ]
    if any(complaints):
        raise CheckpointError(
            f"{checkpoint.path}: expected the {len(wanted)} tensors of the configured model, got "
            f"{'; '.join(part for part in complaints if part)}. "
            "Name the configuration that belongs to this file."
        )
    module.load_state_dict(dict(checkpoint.tensors), strict=True, assign=True)


def fingerprint(module: nn.Module, architecture: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an architecture: its options and every tensor's name and shape.

    Two modules with one fingerprint can exchange weights; the weights do not enter.

    Args:
        module: Without adapters.
        architecture: Options that shape the computation, as plain JSON values.
    """
    shapes = sorted((name, list(value.shape)) for name, value in module.state_dict().items())
    text = json.dumps([shapes, dict(architecture)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _find_weights(path: Path, content: Any) -> Mapping[str, Tensor]:
    """Find the mapping from names to tensors.

    Raises:
        CheckpointError: If there is none.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: expected a mapping with the weights, got {type(content).__name__}."
        )
    for key in _WEIGHT_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    foreign = [key for key, value in content.items() if not _is_named_tensor(key, value)]
    if foreign or not content:
        got = f"{_count('other entries:', [str(key) for key in foreign])}" if foreign else "nothing"
        raise CheckpointError(
            f"{path}: expected names with tensors, at the top or under one of "
            f"{', '.join(_WEIGHT_KEYS)}, got {got}."
        )
    return content


def _is_named_tensor(key: Any, value: Any) -> bool:
    """Whether an entry belongs into a state dict."""
    return isinstance(key, str) and isinstance(value, Tensor)


def _without_wrappers(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Strip prefixes that all names share and that wrappers add."""
    result = dict(named)
    for _ in _WRAPPERS:  # once per wrapper: they may be nested in either order
        for prefix in _WRAPPERS:
            if all(name.startswith(prefix) for name in result):
                result = {name.removeprefix(prefix): value for name, value in result.items()}
    return result


def _to_float32(path: Path, name: str, value: Tensor) -> Tensor:
    """Return a dense float32 copy that owns its memory.

    Raises:
        CheckpointError: If the tensor is not floating-point or not finite.
    """
    if not value.is_floating_point() or value.layout != torch.strided:
        raise CheckpointError(
            f"{path}: expected dense floating-point tensors, got {name} with {value.dtype}, "
            f"{value.layout}."
        )
    # A copy even where the dtype fits: the file is mapped into memory, and would keep its
    # optimizer state alive and change under us when somebody overwrites it.
    result = value.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    broken = int((~torch.isfinite(result)).sum())
    if broken:
        raise CheckpointError(
            f"{path}: expected finite weights, got {broken} of {result.numel()} NaN or infinite "
            f"in {name}. The file is damaged or its training diverged."
        )
    return result


def _count(what: str, names: Iterable[str]) -> str:
    """Say how many there are and name the first three; nothing if there are none."""
    listed = list(names)
    if not listed:
        return ""
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"{len(listed)} {what} ({', '.join(listed[:3])}{more})"
