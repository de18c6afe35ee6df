"""All weights of a base's network, to and from the files that its component loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import StorageError
from mfl_adapt.plugin import Base

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, CONFIG, NOTE = "model.safetensors", "config.json", "merged.json"


def read_weights(base: Base, path: Path) -> dict[str, Tensor]:
    """Read weights for the network of a base, in float32 on the CPU.

    Args:
        base: Says which kind of network it is.
        path: Checkpoint file of a reconstructor, or a folder with one that ``write_weights`` made;
            folder of a model of views.

    Raises:
        CheckpointError: If the file or folder is missing or broken.
    """
    if _makes_views(base):
        from mfl_adapt.models.mvdiffusion.folder import load_parts

        return dict(load_parts(path, text=False).unet.state_dict())
    from mfl_adapt.models.checkpoint import read_checkpoint

    inside = path / WEIGHTS
    return dict(read_checkpoint(inside if inside.is_file() else path).tensors)


def write_weights(
    base: Base, weights: Mapping[str, Tensor], folder: Path, note: Mapping[str, Any]
) -> list[str]:
    """Write weights as the base's own component, or the one for files of its kind, loads them.

    Args:
        base: Base without an adapter; one that makes views takes the weights over.
        weights: All weights of its network.
        folder: New folder.
        note: Where the weights come from and under which terms; goes beside them.

    Returns:
        Settings, as after ``--set``, that open the result.

    Raises:
        StorageError: If the folder cannot be written.
    """
    text = json.dumps(dict(note), indent=2, sort_keys=True) + "\n"
    if _makes_views(base):
        _write_views(base, weights, folder, text)
        return ["base.id=facelift.mvdiffusion", f"base.checkpoint={folder}"]
    from mfl_adapt.adapter.storage import encode_safetensors, write_folder

    files = {WEIGHTS: encode_safetensors(weights, {"format": "pt"}), NOTE: text.encode()}
    opened = [f"base.checkpoint={folder / WEIGHTS}"]
    architecture: Any = getattr(base.module, "architecture", None)
    if hasattr(architecture, "to_facelift"):
        files[CONFIG] = (json.dumps(architecture.to_facelift(), indent=2) + "\n").encode()
        opened = ["base.id=facelift.gslrm", *opened, f"base.config={folder / CONFIG}"]
    write_folder(folder, files)
    return opened


def _makes_views(base: Base) -> bool:
    return len(base.contract.slots_deg) > 0 and hasattr(base, "parts")


def _write_views(base: Any, weights: Mapping[str, Tensor], folder: Path, note: str) -> None:
    """Write all parts of a model of views, with other weights in its UNet.

    Raises:
        StorageError: If the folder cannot be written; nothing is left behind.
    """
    from mfl_adapt.models.mvdiffusion.saving import save_parts

    base.module.load_state_dict(dict(weights))
    partial = folder.with_name(f".{folder.name}.merged")
    try:
        save_parts(base.parts, partial)
        (partial / NOTE).write_text(note, encoding="utf-8")
        partial.replace(folder)
    except OSError as error:
        raise StorageError(f"{folder}: expected to write a model there: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
