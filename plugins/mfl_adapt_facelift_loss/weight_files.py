"""Read the weights of a frozen network from a file of the user's, and hold them to their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.weight_files import (
    find_kind,
    is_old_torch,
    open_file,
    read_old_torch,
    read_safetensors,
    read_torch,
)

# Where programs keep the weights, in the order in which they are looked for.
_WEIGHT_KEYS = ("model", "model_state_dict", "state_dict")


def read_named(path: Path) -> dict[str, Tensor]:
    """Read all named tensors of a torch or safetensors file, told apart by content.

    Nothing in it is run. Entries that are no tensors, as those of an optimizer, are left out.

    Raises:
        CheckpointError: If there is no such file, or it is damaged or of another kind.
    """
    with open_file(path) as file:
        head = file.read(16)
    if is_old_torch(head):
        content: Any = read_old_torch(path)
    elif find_kind(path, head) == "safetensors":
        content = read_safetensors(path)
    else:
        content = read_torch(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: expected a mapping with the weights, got {type(content).__name__}."
        )
    for key in _WEIGHT_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def rename(named: Mapping[str, Tensor], pattern: str, form: str) -> dict[str, Tensor]:
    """Keep the tensors whose whole name fits a pattern, under the name that its groups make.

    Args:
        named: Tensors by name.
        pattern: Regular expression.
        form: Template for ``re.Match.expand``.
    """
    found = ((re.fullmatch(pattern, name), value) for name, value in named.items())
    return {match.expand(form): value for match, value in found if match}


def take(
    path: Path, named: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, what: str
) -> dict[str, Tensor]:
    """Return the wanted tensors in float32, on the CPU, in memory of their own.

    Args:
        path: Where they come from, for messages.
        named: What the file holds.
        shapes: What is wanted.
        what: Network and remedy, for messages: two sentences, of which the first begins after
            "expected".

    Raises:
        CheckpointError: If one is missing, of another shape, not finite, or 0 everywhere.
    """
    expected, remedy = what.split(". ", 1)
    missing = [name for name in shapes if name not in named]
    if missing:
        raise CheckpointError(
            f"{path}: expected {expected}, got a file without {len(missing)} of its "
            f"{len(shapes)} tensors ({', '.join(missing[:3])}). {remedy}"
        )
    taken = {}
    for name, shape in shapes.items():
        value = named[name]
        if tuple(value.shape) != shape or not value.is_floating_point():
            raise CheckpointError(
                f"{path}: expected {expected}, with {name} {list(shape)}, got "
                f"{list(value.shape)} of {value.dtype}. {remedy}"
            )
        # A copy: the file may be mapped into memory, and change or vanish under us.
        taken[name] = value.detach().to(torch.float32, copy=True).contiguous()
        _check_values(path, name, taken[name], expected, remedy)
    return taken


def _check_values(path: Path, name: str, value: Tensor, expected: str, remedy: str) -> None:
    """Refuse what no training leaves behind.

    Raises:
        CheckpointError: If values are not finite, or a kernel is 0 everywhere.
    """
    broken = int((~torch.isfinite(value)).sum())
    empty = name.endswith("weight") and not value.any()
    if broken or empty:
        got = f"{broken} values of {name} not finite" if broken else f"{name} 0 everywhere"
        raise CheckpointError(f"{path}: expected {expected}, trained, got {got}. {remedy}")
