"""Datasets on disk, in the layout that FaceLift reads.

<dataset>/
  dataset.json           who made it, how it is split, its fingerprint
  data_train.txt         sample folders, one a line, relative to this file (also data_val.txt)
  <sample>/images/cam_000.png   8-bit RGBA, straight alpha
  <sample>/opencv_cameras.json
  <sample>/provenance.json
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.cameras import to_w2c
from mfl_adapt.data.fingerprint import fingerprint
from mfl_adapt.errors import DataError, StorageError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import save_picture

if TYPE_CHECKING:
    from mfl_adapt.data.splits import Split
    from mfl_adapt.types import Sample, View

SCHEMA = 1
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def write_dataset(
    samples: Sequence[Sample],
    folder: Path,
    *,
    split: Split | None = None,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole dataset, or nothing.

    Args:
        samples: Samples with masks; their ids become folder names.
        folder: Folder to make; it must not exist yet, or be empty.
        split: Which samples train and validate; None lists them all in ``data_all.txt``.
        description: More entries for ``dataset.json``: reader, plugin versions, species, split
            rule.

    Raises:
        DataError: If an id is no folder name or occurs twice, or a view has no mask.
        StorageError: If the folder is in use or cannot be written.
    """
    _check_ids(samples)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(
            f"{folder}: expected a new or empty folder, got one in use. Choose another name or "
            f"move it away; datasets are never overwritten."
        )
    # Built beside its place and moved there in one step, so that no half dataset is ever seen.
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        for sample in samples:
            write_sample(sample, partial / sample.id)
        _write_lists(samples, split, partial)
        _write_json(partial / "dataset.json", _summary(samples, description or {}))
        partial.replace(folder)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to write a dataset, got {error}. Check permissions and space."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_sample(sample: Sample, folder: Path) -> None:
    """Write one sample's pictures, cameras and provenance.

    Args:
        sample: Sample with a mask in every view.
        folder: The sample's folder; made where missing.

    Raises:
        DataError: If a view has no mask.
        StorageError: If a file cannot be written.
    """
    names = [f"images/cam_{index:03d}.png" for index in range(len(sample.views))]
    for view, name in zip(sample.views, names, strict=True):
        if view.mask is None:
            raise DataError(
                f"sample {sample.id}, view {view.name}: expected a mask to write as alpha, got "
                f"none. Add preprocess.auto_mask to data.preprocess."
            )
        save_picture(folder / name, view.rgb, view.mask)
    _write_json(
        folder / "opencv_cameras.json",
        {
            "id": sample.id,
            "session": sample.session,
            "animal": sample.animal,
            "time_s": sample.time_s,
            "frames": [_frame(v, name) for v, name in zip(sample.views, names, strict=True)],
        },
    )
    steps = [dataclasses.asdict(step) for step in sample.provenance]
    _write_json(folder / "provenance.json", {"schema": SCHEMA, "steps": steps})


def _frame(view: View, name: str) -> dict[str, Any]:
    fx, fy, cx, cy = (float(value) for value in view.fxfycxcy)
    return {
        "view_name": view.name,
        "file_path": name,
        "w": view.width,
        "h": view.height,
        "fx": fx,
        "fy": fy,
        "cx": cx,
        "cy": cy,
        "w2c": to_w2c(view.c2w).tolist(),
    }


def _check_ids(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if not _SAFE_ID.fullmatch(sample.id):
            raise DataError(
                f"sample {sample.id!r}: expected an id of letters, digits, '.', '_' and '-' that "
                f"can name a folder. Rename the sample."
            )
        if sample.id in seen:
            raise DataError(f"sample {sample.id}: expected every id once, got it twice. Rename it.")
        seen.add(sample.id)


def _write_lists(samples: Sequence[Sample], split: Split | None, folder: Path) -> None:
    lists: dict[str, Iterable[int]] = {"data_all.txt": range(len(samples))}
    if split is not None:
        lists = {"data_train.txt": split.train}
        if split.validation:
            lists["data_val.txt"] = split.validation
    for name, indices in lists.items():
        lines = "".join(f"{samples[index].id}\n" for index in indices)
        write_atomically(folder / name, lines.encode())


def _summary(samples: Sequence[Sample], description: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **description,
        "schema": SCHEMA,
        "samples": [sample.id for sample in samples],
        "sessions": sorted({sample.session for sample in samples if sample.session}),
        "animals": sorted({sample.animal for sample in samples if sample.animal}),
        "fingerprint": fingerprint(samples),
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected plain finite JSON values, got {error}. Mend the provenance of the "
            f"step that made them."
        ) from error
    write_atomically(path, f"{text}\n".encode())
