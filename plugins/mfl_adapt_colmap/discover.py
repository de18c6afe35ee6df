"""Which reconstructions a path stands for."""

import logging
from dataclasses import dataclass
from pathlib import Path

from mfl_adapt.errors import DataError

_log = logging.getLogger(__name__)

_MODEL_FOLDERS = ("sparse/0", "sparse", ".")


@dataclass(frozen=True, slots=True)
class Scene:
    """A reconstruction on disk.

    Attributes:
        id: Name of the reconstruction, unique in its dataset.
        folder: Folder that the pictures' folder is relative to.
        model: Folder with ``cameras`` and ``images``, ``.bin`` or ``.txt``.
    """

    id: str
    folder: Path
    model: Path


def model_file(folder: Path, stem: str) -> Path | None:
    """File of a model, binary before text as COLMAP has it; None where there is neither."""
    files = (folder / f"{stem}{suffix}" for suffix in (".bin", ".txt"))
    return next((file for file in files if file.is_file()), None)


def can_read(path: Path) -> bool:
    """Whether the path is a reconstruction or a folder of such; never raises."""
    try:
        if not path.is_dir():
            return False
        return bool(_model(path, None)) or any(
            _model(folder, None) for folder in path.iterdir() if folder.is_dir()
        )
    except (OSError, ValueError):
        return False


def find_scenes(path: Path, model: str | None) -> list[Scene]:
    """List the reconstructions behind a path, folders in the order of their sorted names.

    Args:
        path: A reconstruction's folder, or a folder of such.
        model: Folder of the model in a reconstruction; None tries the usual ones.

    Raises:
        DataError: If the path is missing or holds no reconstruction.
    """
    if not path.is_dir():
        got = "a file" if path.exists() else "no such path"
        raise DataError(f"{path}: expected the folder of a reconstruction, got {got}.")
    here = _model(path, model)
    if here:
        return [_scene(path, here)]
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    found = [(folder, _model(folder, model)) for folder in folders]
    scenes = [_scene(folder, place) for folder, place in found if place]
    if not scenes:
        names = ", ".join((model,) if model else _MODEL_FOLDERS)
        raise DataError(
            f"{path}: expected cameras and images as .bin or .txt in {names}, got none. Point "
            f"data.path at the folder that holds them, or set the reader's model."
        )
    return scenes


def _scene(folder: Path, model: Path) -> Scene:
    if model.name == "0" and (others := sorted(model.parent.glob("[1-9]*/cameras.*"))):
        _log.warning(
            "%s: COLMAP made further models (%s); only %s is read. Set the reader's model for "
            "another one",
            folder,
            ", ".join(sorted({file.parent.name for file in others})),
            model.name,
        )
    return Scene(folder.resolve().name or "scene", folder, model)


def _model(folder: Path, model: str | None) -> Path | None:
    candidates = [folder / name for name in ((model,) if model else _MODEL_FOLDERS)]
    stems = ("cameras", "images")
    complete = (one for one in candidates if all(model_file(one, stem) for stem in stems))
    return next(complete, None)
