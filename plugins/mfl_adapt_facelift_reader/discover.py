"""Which sample folders a path stands for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mfl_adapt.errors import DataError
from mfl_adapt.files import find_inside, read_json

CAMERAS = "opencv_cameras.json"
SUMMARY = "dataset.json"
FIRST_SLOT = "cam_000.png"

LayoutName = Literal["gslrm", "mvdiffusion"]
# By which file a sample folder is known.
FILES: dict[LayoutName, str] = {"gslrm": CAMERAS, "mvdiffusion": FIRST_SLOT}

# A list file is short text; a video or an archive is not worth reading to find that out.
_LONGEST_LIST = 10_000_000


@dataclass(frozen=True, slots=True)
class SampleFolder:
    """A sample on disk.

    Attributes:
        id: Name of the sample, unique in its dataset.
        folder: Where it lies.
    """

    id: str
    folder: Path


def can_read(path: Path) -> bool:
    """Whether the path is a sample folder, a folder of such, or a list file; never raises."""
    return any(_recognizes(path, file) for file in FILES.values()) or _lists_paths(path)


def choose_layout(path: Path) -> LayoutName:
    """Tell a dataset's layout by its files; ``gslrm`` where nothing is recognized.

    Raises:
        DataError: If some sample folders have camera files and others slot pictures alone.
    """
    if _recognizes(path, FILES["gslrm"]):
        mixed = _sub_folders(path, FIRST_SLOT) if path.is_dir() else []
        bare = [name for name in mixed if not (path / name / CAMERAS).is_file()]
        if bare and not (path / CAMERAS).is_file():
            raise DataError(
                f"{path / bare[0]}: expected {CAMERAS} as in the other samples, got pictures "
                f"alone. Add it, or set the reader's layout to gslrm to leave such folders out.",
                code="MFL012",
            )
        return "gslrm"
    return "mvdiffusion" if _recognizes(path, FIRST_SLOT) else "gslrm"


def find_samples(path: Path, layout: LayoutName = "gslrm") -> list[SampleFolder]:
    """List the samples behind a path, in their fixed order.

    A list file gives its own order, ``dataset.json`` that of its ``samples``, and any other
    folder that of its sorted names.

    Raises:
        DataError: If the path or an entry is missing, or a sample is named twice.
    """
    file = FILES[layout]
    if not path.exists():
        raise DataError(f"{path}: expected a dataset, got no such path. Check data.path.")
    if path.is_file():
        return _from_list(path)
    if (path / file).is_file():
        return [SampleFolder(path.resolve().name, path)]
    names = _summary_names(path) if (path / SUMMARY).is_file() else _sub_folders(path, file)
    if not names:
        raise DataError(
            f"{path}: expected sample folders that hold {file}, got none. Point data.path at the "
            f"dataset folder, at one sample, or at a list file.",
            code="MFL012",
        )
    return [SampleFolder(name, _sample_folder(path, name)) for name in names]


def _sample_folder(path: Path, name: str) -> Path:
    try:
        return find_inside(path, name)
    except ValueError as error:
        raise DataError(
            f"{path / SUMMARY}: expected names of folders beside it under 'samples', got "
            f"{name[:200]!r}. Make the dataset again."
        ) from error


def _recognizes(path: Path, file: str) -> bool:
    try:
        if path.is_dir():
            return (path / file).is_file() or any(path.glob(f"*/{file}"))
        if not path.is_file() or path.stat().st_size > _LONGEST_LIST:
            return False
        return any((folder / file).is_file() for _, folder in _entries(path))
    except (OSError, ValueError):  # not text, or lines that can be no path
        return False


def _lists_paths(path: Path) -> bool:
    # A list that came from another machine: nothing of it exists here, which reading it will say.
    try:
        if path.suffix != ".txt" or path.stat().st_size > _LONGEST_LIST:
            return False
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # a folder, or not text
        return False
    entries = [line.strip() for line in lines if line.strip()]
    return bool(entries) and all("/" in one and len(one.split()) == 1 for one in entries)


def _entries(path: Path) -> list[tuple[int, Path]]:
    # Line number and folder of every entry; joining an absolute path keeps it absolute.
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [(number, path.parent / line.strip()) for number, line in lines if line.strip()]


def _from_list(path: Path) -> list[SampleFolder]:
    try:
        entries = _entries(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected a text file that lists sample folders, got {error}. Check data.path."
        ) from error
    if not entries:
        raise DataError(f"{path}: expected sample folders, one a line, got an empty list.")
    seen: dict[str, int] = {}
    found = []
    for number, folder in entries:
        if not _is_folder(folder):
            raise DataError(
                f"{path}:{number}: expected a sample folder, got {str(folder)[:200]}, which is "
                f"not one. "
                f"Entries are relative to the list file.",
                code="MFL052",
            )
        name = Path(os.path.relpath(folder, path.parent)).as_posix()
        if name in seen:
            raise DataError(
                f"{path}:{number}: expected every sample once, got {name} again after line "
                f"{seen[name]}. Delete one of the lines.",
                code="MFL052",
            )
        seen[name] = number
        found.append(SampleFolder(name, folder))
    return _short_ids(found)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a line too long to be a path
        return False


def _short_ids(samples: list[SampleFolder]) -> list[SampleFolder]:
    """Name samples by their folder where that is unambiguous and they lie outside the list's."""
    if not any(sample.id.startswith(".") for sample in samples):
        return samples
    names = [sample.folder.resolve().name for sample in samples]
    if len(set(names)) < len(names):
        names = [sample.folder.resolve().as_posix().lstrip("/") for sample in samples]
    return [SampleFolder(name, s.folder) for name, s in zip(names, samples, strict=True)]


def _summary_names(path: Path) -> list[str]:
    file = path / SUMMARY
    content = read_json(file, advice="Check data.path.")
    names: Any = content.get("samples") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{file}: expected a list of names under 'samples', got {names!r:.60}.")
    if len(set(names)) < len(names):
        raise DataError(f"{file}: expected every sample once under 'samples', got one twice.")
    return names


def _sub_folders(path: Path, file: str) -> list[str]:
    return sorted(found.parent.name for found in path.glob(f"*/{file}"))
