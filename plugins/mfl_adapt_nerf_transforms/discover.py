"""Which scenes a path stands for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json

# In this order; Blender's exporters write one file per split, and the first one is for training.
CAMERA_FILES = ("transforms.json", "transforms_train.json")
# A capture of ten thousand frames takes some 10 MB.
_LARGEST_FILE = 200_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """A camera file on disk.

    Attributes:
        id: Name of the scene, unique in its dataset.
        file: The file with the cameras.
    """

    id: str
    file: Path


def can_read(path: Path) -> bool:
    """Whether the path is a camera file, a scene or a folder of scenes; never raises."""
    try:
        if path.is_dir():
            return any((path / name).is_file() for name in CAMERA_FILES) or any(
                any(path.glob(f"*/{name}")) for name in CAMERA_FILES
            )
        small = path.suffix == ".json" and path.stat().st_size < _LARGEST_FILE
        return small and _has_cameras(read_json(path))
    except (OSError, ValueError):  # unreadable or no JSON
        return False


def _has_cameras(content: Any) -> bool:
    frames = content.get("frames") if isinstance(content, dict) else None
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and "transform_matrix" in first


def find_scenes(path: Path, file: str | None) -> list[Scene]:
    """List the scenes behind a path, folders in the order of their sorted names.

    Args:
        path: A camera file, a scene's folder, or a folder of scenes.
        file: Name of the camera file in a folder; None tries ``CAMERA_FILES``.

    Raises:
        DataError: If the path is missing or holds no camera file.
    """
    if not path.exists():
        raise DataError(f"{path}: expected a NeRF dataset, got no such path. Check data.path.")
    if path.is_file():
        return [Scene(path.resolve().parent.name or "scene", path)]
    names = (file,) if file else CAMERA_FILES
    here = _camera_file(path, names)
    if here:
        return [Scene(path.resolve().name or "scene", here)]
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    found = [(folder.name, _camera_file(folder, names)) for folder in folders]
    scenes = [Scene(name, camera_file) for name, camera_file in found if camera_file]
    if not scenes:
        raise DataError(
            f"{path}: expected {' or '.join(names)} in it or in its folders, got neither. "
            f"Point data.path at the scene, at a folder of scenes, or at the file itself."
        )
    return scenes


def _camera_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
